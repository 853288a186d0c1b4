"""Neurons that kinds of text, or two models, share; chance is counted layer by layer."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from core.analyses.neuron_sets import (
    Batch,
    batches,
    halves,
    layers_and_width,
    named_texts,
    set_gains,
    watch,
)
from core.analyses.runs import Progress
from core.engine.loss import refuse_without_next_tokens
from core.models.loaded import Loaded
from core.results.shared_neurons import SharedNeurons
from core.spec.errors import Error

N_RANDOM = 10


def shared_neurons(
    loaded: Loaded,
    progress: Progress,
    *,
    groups: Sequence[Any],
    other: Loaded | None = None,
    ratio: float = 0.1,
    agree: float = 1.0,
    n_random: int = N_RANDOM,
    seed: int = 0,
) -> SharedNeurons:
    """The most active neurons of each group of texts, what they share, and what breaks without.

    `groups` are (name, texts) pairs; `other` is a second model of the same shape (in a request:
    its name), whose sets stand beside. Of every text the `ratio` of neurons with the largest mean
    |activation| in each layer; a set keeps those in at least `agree` of its texts (1: all, "Do
    LLMs and VLMs Share Neurons for Inference?"). Overlap is counted by (layer, unit) against the
    hypergeometric expectation of each layer: ids pooled over layers would inflate it. Found on
    even texts, losses on odd ones.
    """
    refuse_without_next_tokens(loaded, "what breaks without shared neurons")
    names, texts = named_texts(groups, least=1 if other else 2)
    if not (0 < ratio < 1 and 0 < agree <= 1):
        raise Error("ratio and agree are shares: above 0 and up to 1, for example 0.1 and 1.0")
    models = [loaded, *([_second(loaded, other)] if other else [])]
    found, found_halves = _found(models, progress, names, texts, ratio, agree)
    sets = torch.stack(found)  # [set, layer, neuron]
    overlap, expected, p = overlaps(sets)
    silenced = _to_silence(names, sets, bool(other))
    held = [batches(loaded, own[1::2]) for own in texts]
    chosen = list(silenced.values())
    gain, base = set_gains(loaded, progress, chosen, held, n_random, seed, start=0.3)
    common = torch.nonzero(sets.all(dim=0))
    return SharedNeurons(
        request={},
        names=tuple(
            f"{name} · {model.name}" if other else name for model in models for name in names
        ),
        models=tuple(model.name for model in models for _ in names),
        n_texts=tuple(len(own) for own in texts) * len(models),
        ratio=float(ratio),
        agree=float(agree),
        d_mlp=loaded.d_mlp,
        n_random=n_random,
        silenced=tuple(silenced),
        measured=tuple(names),
        size=sets.sum(dim=-1).numpy(),
        overlap=overlap,
        expected=expected,
        p=p,
        corrected=_corrected(sets, overlap, expected, found_halves),
        silenced_size=np.array([int(one.sum()) for one in chosen]),
        gain=gain,
        base=base,
        layer=common[:, 0].numpy(),
        unit=common[:, 1].numpy(),
    )


def _found(
    models: Sequence[Loaded],
    progress: Progress,
    names: Sequence[str],
    texts: Sequence[Sequence[str]],
    ratio: float,
    agree: float,
) -> tuple[list[Tensor], list[tuple[Tensor, Tensor]]]:
    """The set of every model and group, and those of the two halves of its texts."""
    found: list[Tensor] = []
    found_halves: list[tuple[Tensor, Tensor]] = []
    for model in models:
        for name, own in zip(names, texts, strict=True):
            progress.step(0.3 * len(found) / (len(names) * len(models)), f"active on {name}")
            fired = _active(model, progress, halves(model, own)[0], ratio)
            found.append(_agreed(fired, agree))
            found_halves.append((_agreed(fired[::2], agree), _agreed(fired[1::2], agree)))
    return found, found_halves


def overlaps(
    sets: Bool[Tensor, "set layer neuron"],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(neurons in both, hypergeometric mean, chance of so many or more), each [set, set, layer]."""
    from scipy.stats import hypergeom  # slow to import

    counts = sets.sum(dim=-1).double()  # [set, layer]
    both = torch.einsum("aln,bln->abl", sets.float(), sets.float()).double().round()
    width = sets.shape[-1]
    expected = counts[:, None] * counts[None] / width
    a, b = torch.broadcast_tensors(counts[:, None], counts[None])
    p = hypergeom.sf(both.numpy() - 1, width, a.numpy(), b.numpy())
    return both.numpy().astype(int), expected.numpy(), p


def corrected_jaccard(overlap: np.ndarray, expected: np.ndarray, sizes: float) -> float:
    """(J - E[J]) / (1 - E[J]); `overlap` and `expected` per layer, `sizes` = |A| + |B|."""
    j = overlap.sum() / max(sizes - overlap.sum(), 1)
    chance = expected.sum() / max(sizes - expected.sum(), 1)
    return float((j - chance) / max(1 - chance, 1e-9))


def _corrected(
    sets: Tensor,
    overlap: np.ndarray,
    expected: np.ndarray,
    found_halves: Sequence[tuple[Tensor, Tensor]],
) -> np.ndarray:
    """Corrected Jaccard of every pair; on the diagonal that of the halves of one set's texts."""
    sizes = sets.sum(dim=(1, 2)).tolist()
    matrix = np.ones((len(sets), len(sets)))
    for a, b in np.ndindex(len(sets), len(sets)):
        matrix[a, b] = corrected_jaccard(overlap[a, b], expected[a, b], sizes[a] + sizes[b])
    for place, pair in enumerate(found_halves):
        both, chance, _ = overlaps(torch.stack(pair))
        total = sum(int(half.sum()) for half in pair)
        matrix[place, place] = corrected_jaccard(both[0, 1], chance[0, 1], total)
    return matrix


def _second(loaded: Loaded, model: Loaded) -> Loaded:
    """The other model. Raises `Error` unless its neurons can be matched with these."""
    refuse_without_next_tokens(model, "what breaks without shared neurons")
    mine, its = layers_and_width(loaded), layers_and_width(model)
    if mine != its:
        raise Error(
            f"{loaded.name} has {mine[0]} layers of {mine[1]} neurons and {model.name} {its[0]} of "
            f"{its[1]}; only models of one shape have neurons to match"
        )
    return model


def _active(
    loaded: Loaded, progress: Progress, parts: Sequence[Batch], ratio: float
) -> list[Bool[Tensor, "layer neuron"]]:
    """The most active neurons of each text, by mean |activation| over its tokens."""
    n_layers, width = layers_and_width(loaded)
    size = max(1, round(ratio * width))
    found: dict[int, Tensor] = {}
    for part in parts:
        for row, place in enumerate(part.places):
            mean: dict[int, Tensor] = {}

            def look(layer: int, values: Tensor, mean: dict[int, Tensor] = mean) -> None:
                mean[layer] = values.abs().float().mean(dim=0).cpu()

            watch(loaded, progress, part.one(row), look)
            score = torch.stack([mean[layer] for layer in range(n_layers)])
            chosen = torch.zeros(n_layers, width, dtype=torch.bool)
            found[place] = chosen.scatter_(1, score.topk(size, dim=-1).indices, True)
    return [found[place] for place in sorted(found)]


def _agreed(fired: Sequence[Tensor], agree: float) -> Bool[Tensor, "layer neuron"]:
    """In the sets of at least so many of the texts."""
    counts: Float[Tensor, "layer neuron"] = torch.stack(list(fired)).float().sum(dim=0)
    return counts >= agree * len(fired) - 1e-6


def _to_silence(names: Sequence[str], sets: Tensor, two: bool) -> dict[str, Tensor]:
    """What all sets share, and what each group has for itself."""
    chosen = {"shared by all": sets.all(dim=0)}
    if two:
        return chosen
    counts = sets.sum(dim=0)
    return chosen | {
        f"only {name}": own & (counts == 1) for name, own in zip(names, sets, strict=True)
    }
