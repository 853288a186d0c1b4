"""One neuron: what it reads and writes, what kind it is, and which neurons are near."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.analyses.runs import Progress
from core.engine.neuron_classes import band, classes, cosines, isotropic_band
from core.engine.neuron_rows import (
    check_weight,
    check_whole,
    n_layers,
    neuron_rows,
    random_rows,
    weights_of,
    write_lengths,
)
from core.engine.token_scores import (
    Ends,
    Vocabulary,
    affordable_draws,
    check_k,
    decoded,
    log_sums,
    null_z,
    piece_table,
    vocabulary,
)
from core.models.loaded import Loaded
from core.results.neuron_card import NeuronCard
from core.results.neuron_classes import CLASSES
from core.spec.site import Site

N_NEAR, N_NEAR_TOKENS = 8, 3
N_CHANCE = 64


def neuron_card(
    loaded: Loaded,
    progress: Progress,
    *,
    layer: int,
    neuron: int,
    k: int = 10,
    against: str = "unembedding",
    stack: str = "",
) -> NeuronCard:
    """Tokens at both ends of every vector of one neuron, its class, size and nearest neurons.

    Reads only this neuron's vectors against the vocabulary; the nulls of its layer are computed
    at the first card of the layer. Options as in `neuron_tokens`. Nearest: the 8 neurons of all
    layers whose `out` has the largest |cosine| with this one's.
    """
    check_weight(loaded, layer, "out", stack)
    check_whole(neuron, "neuron")
    loaded.check(Site(layer, "neuron", neuron, stack=stack))
    words = vocabulary(loaded, against, stack)
    check_k(loaded, words, k)
    with loaded.busy():
        weights, draws = weights_of(loaded, stack), affordable_draws(words)
        progress.step(0.1, f"what is usual in layer {layer}, once")
        nulls = [
            null_z(loaded, layer, weight, draws, against, stack, progress.check)
            for weight in weights
        ]
        kind = _kind(loaded, layer, neuron, stack, progress.check)
        near = _nearest(loaded, layer, neuron, stack, progress)
        vectors = torch.cat(
            [neuron_rows(loaded, layer, weight, stack, [neuron]) for weight in weights]
        )
        tokens, near_ids = _tokens(words, vectors, _near_rows(loaded, near, stack), k)
        ids = (torch.from_numpy(tokens["top_ids"]), torch.from_numpy(tokens["bottom_ids"]))
        piece_ids, pieces = piece_table(loaded, *ids, near_ids)
    return NeuronCard(
        request={},
        pieces=pieces,
        piece_ids=piece_ids,
        layer=layer,
        neuron=neuron,
        stack=stack,
        weights=weights,
        against=against,
        n_vocabulary=words.n,
        n_null=draws,
        null_z=np.array(nulls, "float32"),
        **kind,
        **tokens,
        near_layer=near[0].numpy(),
        near_neuron=near[1].numpy(),
        near_cosine=near[2].numpy(),
        near_ids=near_ids.cpu().numpy(),
    )


def _kind(
    loaded: Loaded, layer: int, neuron: int, stack: str, check: Callable[[], None]
) -> dict[str, Any]:
    """Class, cosines and size of the neuron, beside what is usual in its layer."""
    cosine, lengths = cosines(loaded, layer, stack), write_lengths(loaded, layer, stack)
    return {
        "n_neurons": n_layers(loaded, stack) * len(lengths),
        "class_name": CLASSES[int(classes(cosine[neuron : neuron + 1])[0])],
        "write_norm": float(lengths[neuron]),
        "write_percentile": float((lengths < lengths[neuron]).float().mean()),
        "isotropic": isotropic_band(loaded.d_model),
        "cosines": cosine[neuron].numpy(),
        "band": band(loaded, layer, stack),
        "chance_cosine": _chance_cosine(loaded, layer, stack, check),
        "n_chance": N_CHANCE,
    }


def _tokens(
    words: Vocabulary, vectors: Tensor, near: Tensor, k: int
) -> tuple[dict[str, Any], Tensor]:
    """Both ends of each vector [weight, d_model] by the names of the result, and the first
    tokens [near, 3] of other rows."""
    n = len(vectors)
    most = max(k, min(N_NEAR_TOKENS, words.n))
    both = decoded(words, torch.cat([vectors, near]), most)
    ends = Ends(
        both.top[:n, :k],
        both.top_ids[:n, :k],
        both.bottom[:n, :k],
        both.bottom_ids[:n, :k],
        both.mean[:n],
        both.deviation[:n],
    )
    high, low = log_sums(words, vectors)
    length = torch.linalg.vector_norm(vectors, dim=1)[:, None].clamp_min(1e-12)

    def cosine(scores: Tensor, ids: Tensor) -> Tensor:
        return scores / length / torch.linalg.vector_norm(words.matrix[ids], dim=-1)

    found = {
        "top_ids": ends.top_ids,
        "top_logits": ends.top,
        "top_z": ends.top_z,
        "top_cosine": cosine(ends.top, ends.top_ids),
        "bottom_ids": ends.bottom_ids,
        "bottom_logits": ends.bottom,
        "bottom_z": ends.bottom_z,
        "bottom_cosine": cosine(ends.bottom, ends.bottom_ids),
        "top_probability": (ends.top[:, 0] - high).exp(),
        "bottom_probability": (-ends.bottom[:, 0] - low).exp(),
    }
    arrays = {name: value.cpu().numpy() for name, value in found.items()}
    return arrays, both.top_ids[n:, :N_NEAR_TOKENS]


def _nearest(
    loaded: Loaded, layer: int, neuron: int, stack: str, progress: Progress
) -> tuple[Tensor, Tensor, Tensor]:
    """(layer, neuron, cosine) of the neurons that write most alike, largest |cosine| first."""
    own = neuron_rows(loaded, layer, "out", stack, [neuron])
    own = own / write_lengths(loaded, layer, stack)[neuron].clamp_min(1e-12)
    sites, values = [], []
    for other in range(n_layers(loaded, stack)):
        progress.check()
        cosine = _similar(loaded, own, other, stack)[0]
        if other == layer:
            cosine[neuron] = 0
        best = cosine.abs().topk(min(N_NEAR, len(cosine))).indices
        sites += [(other, unit) for unit in best.tolist()]
        values.append(cosine[best])
    cosine = torch.cat(values).cpu()
    first = cosine.abs().argsort(descending=True, stable=True)[:N_NEAR]
    places = torch.tensor(sites)[first]
    return places[:, 0], places[:, 1], cosine[first]


def _similar(loaded: Loaded, unit_vectors: Tensor, layer: int, stack: str) -> Tensor:
    """Cosines [vector, neuron] of vectors of length 1 with what a layer's neurons write."""
    lengths = write_lengths(loaded, layer, stack).clamp_min(1e-12)
    return unit_vectors @ neuron_rows(loaded, layer, "out", stack).T / lengths


def _near_rows(loaded: Loaded, near: tuple[Tensor, Tensor, Tensor], stack: str) -> Tensor:
    """What the near neurons write [near, d_model], those of opposite sign turned round."""
    rows = [
        neuron_rows(loaded, layer, "out", stack, [unit]) * (1 if cosine >= 0 else -1)
        for layer, unit, cosine in zip(*(part.tolist() for part in near), strict=True)
    ]
    return torch.cat(rows)


def _chance_cosine(loaded: Loaded, layer: int, stack: str, check: Callable[[], None]) -> float:
    """Mean of the largest |cosine| that random vectors reach with any neuron, once per layer."""
    key = ("chance_cosine", stack, layer)
    if key not in loaded.memo:
        rows = random_rows(neuron_rows(loaded, layer, "out", stack), N_CHANCE, seed=layer)
        unit = torch.nn.functional.normalize(rows, dim=1)
        largest = []
        for other in range(n_layers(loaded, stack)):
            check()
            largest.append(_similar(loaded, unit, other, stack).abs().amax(dim=1))
        loaded.memo[key] = float(torch.stack(largest).amax(dim=0).mean())
    found: float = loaded.memo[key]
    return found
