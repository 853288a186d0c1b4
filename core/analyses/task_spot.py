"""Task spots: the few neurons one kind of text needs and another does not."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from core.analyses.neuron_sets import (
    LEAST_LOSS,
    Batch,
    bootstrap,
    halves,
    layers_and_width,
    random_like,
    text_losses,
    texts_of,
    written_by,
)
from core.analyses.runs import Progress
from core.engine.gradients import neuron_importance
from core.engine.loss import refuse_without_next_tokens
from core.models.loaded import Loaded
from core.results.task_spot import TaskSpot
from core.spec.errors import Error

SHARES = (0.001, 0.0025, 0.005, 0.01, 0.02)
N_RANDOM = 10
LISTED = 24  # neurons whose tokens are read


def task_spot(
    loaded: Loaded,
    progress: Progress,
    *,
    texts: Sequence[str],
    other_texts: Sequence[str],
    names: Sequence[str] = ("target", "other"),
    share: float = 0.005,
    shares: Sequence[float] = SHARES,
    n_random: int = N_RANDOM,
    seed: int = 0,
) -> TaskSpot:
    """The share of all neurons most important for `texts` and not for `other_texts`, ablated.

    Importance of a neuron: |a x dL/da| averaged over tokens, scaled to sum 1 over all neurons;
    the spot is the largest difference between the kinds, after "Exploring Coding Spot"
    (definition ours). Found on the even texts; the losses with the spot at zero, for every share,
    are those of the odd ones, beside `n_random` random sets with as many neurons in every layer.
    """
    refuse_without_next_tokens(loaded, "a task spot")
    n_layers, width = layers_and_width(loaded)
    kinds = [texts_of(texts, "target texts"), texts_of(other_texts, "other texts")]
    shares = _shares(share, shares)
    sizes = [min(max(1, round(each * n_layers * width)), n_layers * width) for each in shares]
    split = [halves(loaded, kind) for kind in kinds]
    found = [_importance(loaded, progress, half[0]) for half in split]
    importance = torch.stack([scaled for scaled, _ in found])  # [kind, layer, neuron]
    order = (importance[0] - importance[1]).flatten().argsort(descending=True)
    base = [text_losses(loaded, progress, half[1]) for half in split]
    measured, held = [], [half[1] for half in split]
    for number, size in enumerate(sizes):
        progress.step(0.2 + 0.8 * number / len(sizes), f"the {size} strongest neurons silent")
        chosen = _set(order[:size], n_layers, width)
        measured.append(_gains(loaded, progress, held, chosen, base, n_random, seed + size))
    asked = shares.index(share)
    listed = order[: sizes[asked]].cpu()
    layer, unit = (listed // width).numpy(), (listed % width).numpy()
    return TaskSpot(
        request={},
        names=_two(names),
        n_texts=(len(kinds[0]), len(kinds[1])),
        n_found=(found[0][1], found[1][1]),
        n_held=(len(base[0]), len(base[1])),
        n_random=n_random,
        d_mlp=width,
        least=LEAST_LOSS,
        asked=asked,
        writes=written_by(loaded, layer[:LISTED], unit[:LISTED]),
        share=np.array(shares),
        size=np.array(sizes),
        **_broken(measured, seed),
        base=np.array([each.mean() for each in base]),
        in_layer=np.bincount(layer, minlength=n_layers),
        layer=layer,
        unit=unit,
        importance=importance.flatten(1)[:, listed].T.cpu().numpy(),
    )


def _two(names: Sequence[str]) -> tuple[str, str]:
    found = tuple(str(name).strip()[:40] for name in names)
    if len(found) != 2 or not all(found):
        raise Error("a task spot has two names: one of the target texts, one of the others")
    return found[0], found[1]


def _broken(measured: Sequence[Sequence[Sequence[np.ndarray]]], seed: int) -> dict[str, np.ndarray]:
    """gain, low, high and ratio of the result, from the gains [size][kind][set] of each text."""
    gain = np.array([[[one.mean() for one in kind] for kind in size] for size in measured])
    edges = np.array([[bootstrap(kind[0], seed) for kind in size] for size in measured])
    return {
        "gain": gain,
        "low": edges[:, :, 0],
        "high": edges[:, :, 1],
        "ratio": gain[:, 0] / np.maximum(gain[:, 1], LEAST_LOSS),
    }


def _shares(share: float, shares: Sequence[float]) -> list[float]:
    wanted = sorted({float(share), *map(float, shares)})
    if not all(0 < each <= 0.5 for each in wanted):
        raise Error("a share of the neurons lies above 0 and up to 0.5, for example 0.005")
    return wanted


def _importance(
    loaded: Loaded, progress: Progress, parts: Sequence[Batch]
) -> tuple[Float[Tensor, "layer neuron"], int]:
    """Importance of every neuron as a share of all, and the tokens it was averaged over."""
    total: Tensor | None = None
    tokens = 0
    for part in parts:
        progress.step(0.1, "activation times gradient")
        found, _ = neuron_importance(loaded, part.rows)
        one = torch.stack([layer.sum(dim=0) for layer in found]).double().cpu()
        total = one if total is None else total + one
        tokens += sum(part.rows.lengths) - part.rows.n
    assert total is not None
    return total / total.sum().clamp_min(1e-30), tokens


def _set(places: Tensor, n_layers: int, width: int) -> Bool[Tensor, "layer neuron"]:
    chosen = torch.zeros(n_layers * width, dtype=torch.bool)
    chosen[places] = True
    return chosen.reshape(n_layers, width)


def _gains(
    loaded: Loaded,
    progress: Progress,
    held: Sequence[Sequence[Batch]],
    chosen: Tensor,
    base: Sequence[np.ndarray],
    n_random: int,
    seed: int,
) -> list[list[np.ndarray]]:
    """Loss gained by each held-out text, [kind][set]; set 0 is the spot itself."""
    sets = [chosen, *random_like(chosen, n_random, seed)]
    return [
        [text_losses(loaded, progress, parts, one) - before for one in sets]
        for parts, before in zip(held, base, strict=True)
    ]
