"""Heads and one concept: how far each writes it, reads it, and is needed for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.analyses.contrast import Sides, auc, difference, held_out_auc, unit
from core.analyses.runs import Progress
from core.analyses.scores import aucs
from core.analyses.states import encoded, states
from core.engine.head_probe import head_weights
from core.models.loaded import Loaded
from core.spec.errors import Error
from core.spec.interventions import Change

LEAST = 4  # texts a side: two to build the direction from, two to look at
NEAR = 0.02  # layers whose AUC is that near to the best one's separate as well
N_GAIN = 100  # random directions that values may take in


@dataclass(frozen=True)
class Aim:
    """The direction of a concept behind one layer, and what was found on the way to it.

    vectors [layer, d_model] of length 1 and middles [layer] (half way between the sides), for the
    states that later layers read.
    """

    layer: int
    vectors: Tensor
    middles: Tensor

    @property
    def vector(self) -> Tensor:
        return self.vectors[self.layer]


def halves(
    n_up: int, n_down: int, paired: bool, seed: int
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Numbers (with, without) of the texts a direction is built from, and of those looked at."""
    if min(n_up, n_down) < LEAST:
        raise Error(
            f"{n_up} texts with the concept and {n_down} without; heads and concepts need at least "
            f"{LEAST} of each: one half builds the direction, the other is looked at"
        )
    rng = np.random.default_rng(seed)
    up = rng.permutation(n_up)
    down = up if paired else rng.permutation(n_down)
    middle = (n_up // 2, n_down // 2)
    return (up[: middle[0]], down[: middle[1]]), (up[middle[0] :], down[middle[1] :])


def aimed(
    loaded: Loaded,
    progress: Progress,
    up: Sequence[str],
    down: Sequence[str],
    paired: bool,
    position: str,
    change: Sequence[Change],
    layer: int | None,
    seed: int,
) -> Aim:
    """Differences of means behind every layer; the last layer about as good as the best."""
    ids = encoded(loaded, (*up, *down))
    seen = states(
        loaded, progress, ids, positions=(position,), change=change, share=(0.0, 0.2)
    ).vectors[0]
    vectors, middles, found = [], [], []
    rng = np.random.default_rng(seed)
    for at in range(len(seen)):
        one = seen[at].double().numpy()
        sides = Sides(one[: len(up)], one[len(up) :], paired)
        vector = unit(difference(sides))
        found.append(held_out_auc(sides, difference, rng))
        middles.append((sides.positive.mean(axis=0) + sides.negative.mean(axis=0)) @ vector / 2)
        vectors.append(vector)
    if layer is None:
        layer = int(np.flatnonzero(np.array(found) >= max(found) - NEAR)[-1])
    _check_layer(layer, len(seen))
    made = torch.tensor(np.array(vectors), dtype=torch.float32)
    return Aim(layer, made, torch.tensor(middles, dtype=torch.float32))


def handed(direction: Sequence[float], n_layers: int, width: int, layer: int | None) -> Aim:
    """A direction that was given, at a layer that was given; no middle is known."""
    if layer is None:
        raise Error("direction= is a vector of the stream behind one layer; name it with layer=")
    _check_layer(layer, n_layers)
    vector = torch.tensor([float(x) for x in direction])
    if len(vector) != width or not torch.isfinite(vector).all() or not vector.any():
        raise Error(f"direction= needs {width} finite numbers that are not all 0")
    vectors = (vector / vector.norm()).expand(n_layers, -1)
    return Aim(layer, vectors, torch.full((n_layers,), torch.nan))


def _check_layer(layer: Any, n_layers: int) -> None:
    whole = isinstance(layer, int) and not isinstance(layer, bool)
    if not whole or not 0 <= layer < n_layers:
        raise Error(f"layer must be a whole number from 0 to {n_layers - 1}, not {layer!r:.20}")


def taken_in(loaded: Loaded, aim: Aim, seed: int) -> dict[str, np.ndarray]:
    """How strongly the value path of every head takes the concept in: gain, z and cosine.

    gain: length of direction x values x output, norms folded in; z against random directions.
    NaN in layer 0, in front of which no direction is known, and behind the direction's layer.
    """
    stack, layers = loaded.prompt_stack, aim.layer + 1
    found = {name: np.full((layers, loaded.n_heads), np.nan) for name in ("gain", "z", "cosine")}
    generator = torch.Generator().manual_seed(seed)
    random = torch.randn(N_GAIN, loaded.d_model, generator=generator).to(loaded.device)
    random = random / random.norm(dim=-1, keepdim=True)
    for layer in range(1, layers):
        own = aim.vectors[layer - 1].to(loaded.device)
        with loaded.busy():
            maps = head_weights(loaded, layer, stack)
            for head in range(loaded.n_heads):
                value, output = maps.ov(head)
                out = own @ value @ output
                chance = (random @ value @ output).norm(dim=-1)
                spread = chance.std().clamp_min(1e-12)
                found["gain"][layer, head] = float(out.norm())
                found["z"][layer, head] = float((out.norm() - chance.mean()) / spread)
                found["cosine"][layer, head] = float(out @ own / out.norm().clamp_min(1e-12))
    return found


def write_scores(values: np.ndarray, member: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """d' and AUC of every column of values [text, ...]."""
    flat = values.reshape(len(values), -1)
    up, down = flat[member], flat[~member]
    spread = np.sqrt((up.var(axis=0, ddof=1) + down.var(axis=0, ddof=1)) / 2)
    apart = (up.mean(axis=0) - down.mean(axis=0)) / np.maximum(spread, 1e-12)
    shape = values.shape[1:]
    return apart.reshape(shape), aucs(flat, member).reshape(shape)


def gap(values: np.ndarray, member: np.ndarray) -> np.ndarray:
    """Mean over texts that have the concept less mean over the others, of values [text, ...]."""
    found: np.ndarray = values[member].mean(axis=0) - values[~member].mean(axis=0)
    return found


def separation(values: np.ndarray, member: np.ndarray) -> float:
    """AUC of one number a text."""
    return auc(values[member], values[~member])
