"""Every neuron of a layer read as tokens: which it writes or reads, and how surely."""

import numpy as np
import torch
from torch import Tensor

from core.analyses.runs import Progress
from core.engine.neuron_rows import neuron_rows
from core.engine.token_scores import (
    MOST_DRAWS,
    Ends,
    Vocabulary,
    check_k,
    decoded,
    kurtosis,
    log_sums,
    null_z,
    piece_table,
    vocabulary,
)
from core.models.loaded import Loaded
from core.results.neuron_tokens import NeuronTokens

HUB_SHARE, HUB_LEAST = 0.005, 3


def neuron_tokens(
    loaded: Loaded,
    progress: Progress,
    *,
    layer: int,
    weight: str = "out",
    k: int = 10,
    against: str = "unembedding",
    relative: bool = False,
    probability: bool = False,
    stack: str = "",
) -> NeuronTokens:
    """The k highest and k lowest tokens of one vector of every neuron of a layer.

    "Decoding specialised feature neurons in LLMs with the final projection layer". Scores are
    raw: the folded vector, centred for LayerNorm models, times the final norm's weight, times
    the unembedding. z-scores are over the vocabulary, with its exact mean and variance.
    weight       "out" what is written, "in" and "gate" what is read
    against      "embedding" reads against the input embedding (for early layers)
    relative     take the mean row of the layer away first: hub tokens then step back
    probability  also the softmax probability of the first tokens and the kurtosis, which
                 takes a second pass over the vocabulary
    """
    rows = neuron_rows(loaded, layer, weight, stack)
    words = vocabulary(loaded, against, stack)
    check_k(loaded, words, k)
    with loaded.busy():
        if relative:
            rows = rows - rows.mean(dim=0)
        progress.step(0.1, f"{len(rows):,} neurons of layer {layer} against {words.n:,} tokens")
        # Two at least, for the margin between the first and the second.
        ends = decoded(words, rows, min(max(k, 2), words.n), progress.check)
        progress.step(0.5, f"the same of {MOST_DRAWS:,} random vectors")
        chance = null_z(loaded, layer, weight, MOST_DRAWS, against, stack, progress.check)
        progress.step(0.8, "how the scores lie over the vocabulary")
        shapes = _shapes(words, rows, ends, progress) if probability else [np.zeros(0, "f4")] * 3
        hub_ids, hub_share = hubs(ends)
        piece_ids, pieces = piece_table(loaded, ends.top_ids[:, :k], ends.bottom_ids[:, :k])
    return NeuronTokens(
        request={},
        pieces=pieces,
        piece_ids=piece_ids,
        layer=layer,
        weight=weight,
        against=against,
        stack=stack,
        relative=relative,
        n_vocabulary=words.n,
        null_z=chance,
        n_null=MOST_DRAWS,
        **named(ends, k),
        margin=_margin(ends).cpu().numpy(),
        decodable=(ends.largest_z > chance).cpu().numpy(),
        hub_ids=hub_ids,
        hub_share=hub_share,
        top_probability=shapes[0],
        bottom_probability=shapes[1],
        kurtosis=shapes[2],
    )


def named(ends: Ends, k: int) -> dict[str, np.ndarray]:
    """Ids and scores [neuron, k], z of the first [neuron], by the names of the result."""
    return {
        "top_ids": ends.top_ids[:, :k].cpu().numpy(),
        "top_logits": ends.top[:, :k].cpu().numpy(),
        "bottom_ids": ends.bottom_ids[:, :k].cpu().numpy(),
        "bottom_logits": ends.bottom[:, :k].cpu().numpy(),
        "top_z": ends.top_z[:, 0].cpu().numpy(),
        "bottom_z": ends.bottom_z[:, 0].cpu().numpy(),
    }


def hubs(ends: Ends) -> tuple[np.ndarray, np.ndarray]:
    """(ids, shares) of tokens that come first at more than 0.5 % of all ends, commonest first."""
    first = torch.cat([ends.top_ids[:, 0], ends.bottom_ids[:, 0]]).cpu().numpy()
    ids, counts = np.unique(first, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    often = (counts > max(HUB_SHARE * len(first), HUB_LEAST - 1))[order]
    return ids[order][often], (counts[order][often] / len(first)).astype("float32")


def _margin(ends: Ends) -> Tensor:
    """z of the first token minus z of the second, at the end that sticks out further."""
    if ends.top.shape[1] < 2:
        return torch.zeros_like(ends.mean)
    top, bottom = ends.top_z, ends.bottom_z
    return torch.where(
        top[:, 0] >= -bottom[:, 0], top[:, 0] - top[:, 1], bottom[:, 1] - bottom[:, 0]
    )


def _shapes(words: Vocabulary, rows: Tensor, ends: Ends, progress: Progress) -> list[np.ndarray]:
    """Softmax probability of the first top and bottom token, and excess kurtosis."""
    high, low = log_sums(words, rows, progress.check)
    first = ((ends.top[:, 0] - high).exp(), (-ends.bottom[:, 0] - low).exp())
    values = (*first, kurtosis(words, rows, progress.check))
    return [value.cpu().numpy() for value in values]
