"""Neurons specific to a kind of text: the entropy of how often they fire on each kind."""

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
    written_by,
)
from core.analyses.runs import Progress
from core.engine.loss import refuse_without_next_tokens
from core.models.loaded import Loaded
from core.results.domain_neurons import DomainNeurons
from core.spec.errors import Error

N_RANDOM = 10
N_SHUFFLES = 5
ABLE = 0.95  # quantile of all firing rates a neuron must reach on one kind to count
N_BINS = 40
LISTED = 24


def domain_neurons(
    loaded: Loaded,
    progress: Progress,
    *,
    groups: Sequence[Any],
    share: float = 0.01,
    n_random: int = N_RANDOM,
    n_shuffles: int = N_SHUFFLES,
    seed: int = 0,
) -> DomainNeurons:
    """The neurons whose firing is most concentrated on one kind of text, and what they carry.

    A neuron fires where |activation| exceeds its own root mean square over all texts. Entropy of
    its rates over the kinds, scaled to sum 1, as in "Language-Specific Neurons" (Tang et al. 2024,
    who take the sign of the gate); listed is the `share` of lowest entropy among neurons that fire
    on some kind as often as 1 in 20 of all (neuron, kind) pairs do. Found on even texts, losses
    with the neurons of one kind silent on odd ones.
    """
    refuse_without_next_tokens(loaded, "what breaks without the neurons of a kind")
    names, texts = named_texts(groups)
    if not 0 < share <= 0.5:
        raise Error("share is the part of the neurons to list: above 0 and up to 0.5, as 0.01")
    n_layers, width = layers_and_width(loaded)
    found = [halves(loaded, own)[0] for own in texts]
    counts, tokens = _counts(loaded, progress, found, n_shuffles, seed)
    rate = counts[0] / tokens[0][:, None, None]  # [kind, layer, neuron]
    threshold = float(np.quantile(rate.numpy(), ABLE))
    entropy, able = _entropy(rate), rate.amax(dim=0) >= threshold
    n_listed = min(int(able.sum()), max(1, round(share * n_layers * width)))
    order = torch.where(able, entropy, torch.inf).flatten().argsort()[:n_listed]
    kind = rate.flatten(1)[:, order].argmax(dim=0)
    sets = _sets(order, kind, len(names), n_layers, width)
    held = [batches(loaded, own[1::2]) for own in texts]
    gain, base = set_gains(loaded, progress, sets, held, n_random, seed, start=0.4)
    layer, unit = (order // width).numpy(), (order % width).numpy()
    return DomainNeurons(
        request={},
        names=tuple(names),
        n_texts=tuple(map(len, texts)),
        n_tokens=tuple(int(n) for n in tokens[0]),
        n_random=n_random,
        n_shuffles=n_shuffles,
        share=float(share),
        d_mlp=width,
        n_able=int(able.sum()),
        writes=written_by(loaded, layer[:LISTED], unit[:LISTED]),
        layer=layer,
        unit=unit,
        kind=kind.numpy(),
        entropy=entropy.flatten()[order].numpy(),
        rate=rate.flatten(1)[:, order].T.numpy(),
        **_histograms(counts, tokens, threshold),
        in_layer=np.stack([one.sum(dim=-1).numpy() for one in sets]),
        gain=gain,
        base=base,
    )


def _counts(
    loaded: Loaded, progress: Progress, found: Sequence[Sequence[Batch]], n_shuffles: int, seed: int
) -> tuple[Float[Tensor, "deal kind layer neuron"], list[Tensor]]:
    """How often neurons fire on each kind, and its tokens: deal 0 is true, the rest shuffled."""
    n_layers, width = layers_and_width(loaded)
    level = _levels(loaded, progress, found)
    deals = _deals([sum(len(part.places) for part in parts) for parts in found], n_shuffles, seed)
    counts = torch.zeros(len(deals), len(found), n_layers, width)
    tokens = [torch.zeros(len(found)) for _ in deals]
    number = 0
    for parts in found:
        for one in _single(parts):
            progress.step(0.2 + 0.2 * number / len(deals[0]), "how often neurons fire")
            fired = torch.zeros(n_layers, width)

            def look(layer: int, values: Tensor, fired: Tensor = fired) -> None:
                over = values.abs().float() > level[layer].to(values.device)
                fired[layer] = over.sum(dim=0).float().cpu()

            watch(loaded, progress, one, look)
            for deal, kinds in enumerate(deals):
                counts[deal, kinds[number]] += fired
                tokens[deal][kinds[number]] += one.rows.lengths[0]
            number += 1
    return counts, tokens


def _levels(
    loaded: Loaded, progress: Progress, found: Sequence[Sequence[Batch]]
) -> Float[Tensor, "layer neuron"]:
    """The root mean square of every neuron over all texts."""
    n_layers, width = layers_and_width(loaded)
    squares, n = torch.zeros(n_layers, width, dtype=torch.float64), 0

    def look(layer: int, values: Tensor) -> None:
        squares[layer] += values.double().square().sum(dim=0).cpu()

    for parts in found:
        for part in parts:
            progress.step(0.1, "how large neurons get")
            watch(loaded, progress, part, look)
            n += sum(part.rows.lengths)
    return (squares / max(n, 1)).sqrt().float()


def _deals(sizes: Sequence[int], n_shuffles: int, seed: int) -> list[np.ndarray]:
    """Which kind each text counts for: the truth, then seeded shuffles of it."""
    truth = np.repeat(np.arange(len(sizes)), sizes)
    drawn = np.random.default_rng(seed)
    return [truth, *(drawn.permutation(truth) for _ in range(n_shuffles))]


def _single(parts: Sequence[Batch]) -> list[Batch]:
    return [part.one(row) for part in parts for row in range(part.rows.n)]


def _entropy(rate: Float[Tensor, "kind layer neuron"]) -> Float[Tensor, "layer neuron"]:
    """Entropy in nats of the rates scaled to sum 1; a neuron that never fires has the largest."""
    total = rate.sum(dim=0)
    p = torch.where(total > 0, rate / total.clamp_min(1e-30), 1 / len(rate))
    return -(p * p.clamp_min(1e-30).log()).sum(dim=0)


def _histograms(
    counts: Tensor, tokens: Sequence[Tensor], threshold: float
) -> dict[str, np.ndarray]:
    """Edges, and the entropies of the true deal and of the shuffled ones, as result fields."""
    edge = np.linspace(0, np.log(counts.shape[1]), N_BINS + 1)
    true, *null = (
        _histogram(each / n[:, None, None], threshold, edge)
        for each, n in zip(counts, tokens, strict=True)
    )
    null_count = np.mean(null, axis=0) if null else np.zeros(N_BINS)
    return {"edge": edge, "count": true, "null_count": null_count}


def _histogram(rate: Tensor, threshold: float, edge: np.ndarray) -> np.ndarray:
    able = rate.amax(dim=0) >= threshold
    inside = _entropy(rate)[able].clamp(0, float(edge[-1])).numpy()
    return np.histogram(inside, edge)[0]


def _sets(
    order: Tensor, kind: Tensor, n_kinds: int, n_layers: int, width: int
) -> list[Bool[Tensor, "layer neuron"]]:
    """The listed neurons of every kind."""
    found = torch.zeros(n_kinds, n_layers * width, dtype=torch.bool)
    found[kind, order] = True
    return list(found.reshape(n_kinds, n_layers, width))
