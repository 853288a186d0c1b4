"""Which heads and neurons changed from one model to another of its architecture."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from core.analyses import paired_units
from core.analyses.paired_units import Side
from core.analyses.runs import Progress
from core.analyses.two_models import Items
from core.engine.neuron_rows import neuron_rows, weights_of
from core.models.loaded import Loaded

HELD = 64_000_000  # numbers of one side kept at a time


@dataclass(frozen=True)
class Changed:
    """Units of all layers, layer after layer.

    wrote    [unit] length of what its write changed, root mean square over the tokens, stream units
    chance   [unit] the same between what it writes at one token here and at another there
    weights  [unit] ||a - b|| over the mean length of its weights; 0 alike, 1.41 unrelated
    unlike   [unit] the same against the next unit of the layer
    """

    wrote: np.ndarray
    chance: np.ndarray
    weights: np.ndarray
    unlike: np.ndarray


def changed(
    one: Loaded,
    two: Loaded,
    unit: str,
    asked: Items,
    progress: Progress,
    share: tuple[float, float],
    seed: int,
) -> Changed:
    """How much every neuron, or head, of the same number changed."""
    sides = (paired_units.side(one, unit), paired_units.side(two, unit))
    order = np.random.default_rng(seed).permutation(asked.n)
    size = max(1, HELD // (sides[0].n_units * sides[0].each * asked.n))
    n_layers = len(sides[0].sites)
    found: list[np.ndarray] = []
    for first in range(0, n_layers, size):
        layers = list(range(first, min(first + size, n_layers)))
        stretch = [
            share[0] + (share[1] - share[0]) * at / n_layers for at in (first, layers[-1] + 1)
        ]
        middle = sum(stretch) / 2
        values = [
            paired_units.activations(
                of, progress, asked, number, layers, part, centred=False
            )
            for number, (of, part) in enumerate(
                zip(sides, ((stretch[0], middle), (middle, stretch[1])), strict=True)
            )
        ]  # fmt: skip
        for at, layer in enumerate(layers):
            writes = [paired_units.writes(of, layer).numpy() for of in sides]
            a, b = values[0][at], values[1][at]
            each = _neurons if sides[0].each == 1 else _heads
            found.append(
                np.stack(
                    [
                        each(a, b, writes[0], writes[1], sides[0].each),
                        each(a, b[:, order], writes[0], writes[1], sides[0].each),
                        *_weights(one, two, sides, layer, writes),
                    ]
                )
            )
    return Changed(*np.concatenate(found, axis=1))


def _neurons(
    a: np.ndarray, b: np.ndarray, write: np.ndarray, there: np.ndarray, _each: int
) -> np.ndarray:
    """||b v - a w|| [neuron] over the tokens from three products; a, b [neuron, item]."""
    w, v, both = ((x * y).sum(axis=1) for x, y in ((write, write), (there, there), (write, there)))
    aa, bb, ab = (
        np.einsum("ut,ut->u", x, y, dtype=np.float64) / a.shape[1]
        for x, y in ((a, a), (b, b), (a, b))
    )
    found: np.ndarray = np.sqrt(np.maximum(aa * w + bb * v - 2 * ab * both, 0.0))
    return found


def _heads(
    a: np.ndarray, b: np.ndarray, write: np.ndarray, there: np.ndarray, each: int
) -> np.ndarray:
    """The same of heads: a, b [head x width, item], write [head x width, d_model]."""
    n = len(a) // each
    found = np.zeros(n)
    for head in range(n):
        rows = slice(head * each, (head + 1) * each)
        moved = (
            b[rows].T.astype(np.float64) @ there[rows] - a[rows].T.astype(np.float64) @ write[rows]
        )
        found[head] = np.sqrt((moved**2).sum(axis=1).mean())
    return found


def _weights(
    one: Loaded, two: Loaded, sides: tuple[Side, Side], layer: int, writes: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """(distance, that to the next unit): all vectors of a neuron; what a head writes with."""
    if sides[0].each > 1:
        a, b = (each.reshape(sides[0].n_units, -1) for each in writes)
    else:
        stack = sides[0].sites[layer].stack
        names = weights_of(one, stack)
        a, b = (
            np.concatenate([_rows(neuron_rows(m, layer, name, stack)) for name in names], axis=1)
            for m in (one, two)
        )
    return _apart(a, b), _apart(a, np.roll(b, -1, axis=0))


def _rows(rows: Tensor) -> np.ndarray:
    found: np.ndarray = rows.double().cpu().numpy()
    return found


def _apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    middle = ((a**2).sum(axis=1) + (b**2).sum(axis=1)) / 2
    found: np.ndarray = np.sqrt(((a - b) ** 2).sum(axis=1) / np.maximum(middle, 1e-24))
    return found
