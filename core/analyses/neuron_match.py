"""Which neurons two models of one architecture share: same first token, same vector."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import torch
from torch import Tensor

from core.analyses.runs import Progress
from core.engine.neuron_rows import check_weight, n_layers, neuron_rows, weights_of
from core.engine.token_scores import Vocabulary, check_k, decoded, piece_table, vocabulary
from core.models.loaded import Loaded
from core.models.tokens import known_ids
from core.results.neuron_match import NeuronMatch
from core.spec.errors import Error

N_CHANGED = 50
MOST_TOKENS = 100
MOST_UNLIKE = 0.01  # share of ids that two tokenizers of one vocabulary may write differently


def neuron_match(
    loaded: Loaded,
    progress: Progress,
    *,
    other: Loaded,
    weight: str = "in",
    k: int = 10,
    against: str = "unembedding",
    stack: str = "",
) -> NeuronMatch:
    """Same first token, cosine and Jaccard of the k first tokens, neuron by neuron and layer.

    "Decoding specialised feature neurons in LLMs with the final projection layer" finds the same
    first token for 75 % of the `in` vectors of a base model and its tuned one.
    other   the second model (in a request: its name); same architecture and vocabulary
    weight  "in", "out", "gate" or "all"
    Raises `Error` naming the first thing in which the architectures differ.
    """
    check_same(loaded, other, stack)
    if weight != "all":
        check_weight(loaded, 0, weight, stack)
    weights = weights_of(loaded, stack) if weight == "all" else (weight,)
    layers = n_layers(loaded, stack)
    with both_busy(loaded, other):
        words = _common(loaded, other, against, stack)
        check_k(loaded, words[0], k)
        if k > MOST_TOKENS:
            raise Error(f"k is {k}; compare lists of at most {MOST_TOKENS} tokens")
        found = []
        for number, name in enumerate(weights):
            for layer in range(layers):
                share = (number * layers + layer) / (len(weights) * layers)
                progress.step(share, f"{name}, layer {layer} of {layers - 1}")
                rows = [neuron_rows(each, layer, name, stack) for each in (loaded, other)]
                rows[1] = rows[1].to(rows[0].device)
                found.append(_compared(words, rows, k, progress))
    return _result(loaded, other, words[0].n, weights, layers, k, stack, found)


def check_same(one: Loaded, two: Loaded, stack: str = "") -> None:
    """Raise `Error` unless neuron j of the one can be neuron j of the other."""
    n_layers(one, stack), n_layers(two, stack)
    sizes = {
        "layers": (n_layers(one, stack), n_layers(two, stack)),
        "neurons in a layer": (one.d_mlp, two.d_mlp),
        "numbers in the stream": (one.d_model, two.d_model),
        "vectors of a neuron": (len(weights_of(one, stack)), len(weights_of(two, stack))),
    }
    for what, (here, there) in sizes.items():
        if here != there:
            raise Error(
                f"{one.name} has {here:,} {what} and {two.name} {there:,}: neurons can be "
                "matched one by one only between models of one architecture"
            )
    n = min(known_ids(one), known_ids(two))
    unlike = n_unlike(one, two)
    if unlike > MOST_UNLIKE * n or n < (1 - MOST_UNLIKE) * max(known_ids(one), known_ids(two)):
        raise Error(
            f"{one.name} and {two.name} have different vocabularies ({unlike:,} of the first "
            f"{n:,} ids stand for different tokens), so their tokens cannot be compared"
        )


def n_unlike(one: Loaded, two: Loaded) -> int:
    """Ids that both tokenizers have and write differently."""
    n = min(known_ids(one), known_ids(two))
    names = [model.tokenizer.convert_ids_to_tokens(list(range(n))) for model in (one, two)]
    return sum(a != b for a, b in zip(*names, strict=True))


@contextmanager
def both_busy(one: Loaded, two: Loaded) -> Iterator[None]:
    """Both models, always in the same order, so that two comparisons cannot wait for each other."""
    with ExitStack() as held:
        for model in sorted((one, two), key=id):
            held.enter_context(model.busy())
        yield


def _common(one: Loaded, two: Loaded, against: str, stack: str) -> tuple[Vocabulary, Vocabulary]:
    """What each model reads with, cut to the ids that both have; on the first one's device."""
    words = [vocabulary(model, against, stack) for model in (one, two)]
    n = min(each.n for each in words)
    device = words[0].matrix.device
    first, second = (
        Vocabulary(w.matrix.to(device), n, w.mean.to(device), w.covariance.to(device))
        for w in words
    )
    return first, second


def _compared(
    words: tuple[Vocabulary, Vocabulary], rows: list[Tensor], k: int, progress: Progress
) -> dict[str, np.ndarray]:
    """One layer: matched numbers [neuron], their control's means, first tokens [2, neuron, k]."""
    one, two = (
        decoded(voc, part, k, progress.check).top_ids for voc, part in zip(words, rows, strict=True)
    )
    shifted = two.roll(-1, 0)
    length = (rows[0].norm(dim=1) + rows[1].norm(dim=1)).clamp_min(1e-12) / 2
    values = {
        "same": one[:, 0] == two[:, 0],
        "cosine": torch.cosine_similarity(rows[0], rows[1], dim=1),
        "distance": (rows[0] - rows[1]).norm(dim=1) / length,
        "jaccard": _jaccard(one, two),
        "ids": torch.stack([one, two]),
        "control_same_share": (one[:, 0] == shifted[:, 0]).float().mean(),
        "control_mean_cosine": torch.cosine_similarity(rows[0], rows[1].roll(-1, 0), dim=1).mean(),
        "control_mean_jaccard": _jaccard(one, shifted).mean(),
    }
    return {name: value.cpu().numpy() for name, value in values.items()}


def _jaccard(one: Tensor, two: Tensor) -> Tensor:
    """|A and B| / |A or B| of the ids [neuron, k] in each row."""
    both = (one[:, :, None] == two[:, None, :]).flatten(1).sum(dim=1).float()
    return both / (2 * one.shape[1] - both)


def _result(
    loaded: Loaded,
    other: Loaded,
    n_vocabulary: int,
    weights: tuple[str, ...],
    layers: int,
    k: int,
    stack: str,
    found: list[dict[str, np.ndarray]],
) -> NeuronMatch:
    """Means per layer, and the neurons that moved furthest."""
    shape = (len(weights), layers)
    arrays = {
        name: np.stack([part[name] for part in found]).reshape(*shape, *found[0][name].shape)
        for name in found[0]
    }
    ids = arrays.pop("ids")  # [weight, layer, model, neuron, k]
    order = np.argsort(-arrays["distance"], axis=None, kind="stable")[:N_CHANGED]
    weight, layer, neuron = np.unravel_index(order, arrays["distance"].shape)
    changed_ids = np.stack([ids[weight, layer, side, neuron] for side in (0, 1)], axis=1)
    piece_ids, pieces = piece_table(loaded, torch.from_numpy(changed_ids))
    return NeuronMatch(
        request={},
        pieces=pieces,
        piece_ids=piece_ids,
        models=(loaded.name, other.name),
        weights=weights,
        stack=stack,
        n_vocabulary=n_vocabulary,
        n_unlike=n_unlike(loaded, other),
        k=k,
        same_share=arrays["same"].mean(axis=-1).astype("float32"),
        mean_cosine=arrays["cosine"].mean(axis=-1),
        mean_jaccard=arrays["jaccard"].mean(axis=-1),
        **arrays,
        changed_weight=weight,
        changed_layer=layer,
        changed_neuron=neuron,
        changed_ids=changed_ids,
    )
