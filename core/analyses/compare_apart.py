"""Two models of one architecture: how far their states and their weights lie apart."""

from typing import Any

import numpy as np

from core.analyses import two_models
from core.analyses.runs import Progress
from core.analyses.two_models import Items
from core.analyses.weight_distance import PARTS, by_layer, moved
from core.models.loaded import Loaded

N_MOVED = 40


def apart(
    loaded: Loaded,
    there: Loaded,
    asked: Items,
    one: np.ndarray,
    two: np.ndarray,
    rng: np.random.Generator,
    notes: list[str],
    progress: Progress,
) -> dict[str, Any]:
    """Distances of states and weights, where neuron j of one can be neuron j of the other."""
    why = two_models.unlike_architectures(loaded, there)
    words = "" if asked.same_tokens else "the two split the texts into other tokens"
    progress.step(0.97, "distances of states and weights")
    found = _no_states(why or words, notes) if why or words else _state_distances(one, two, rng)
    if why:
        notes.append(f"distances of weights are left out: {why}")
        empty = np.zeros((0, 0))
        return found | {
            "weight_parts": (), "weight_distance": empty, "control_weight_distance": empty,
            "weight_names": (), "weight_moved": np.zeros(0),
        }  # fmt: skip
    with two_models.both_busy(loaded, there):
        parameters = moved(loaded, there)
    distance, unrelated = by_layer(parameters, len(one))
    order = sorted(parameters, key=lambda each: -each.distance)[:N_MOVED]
    return found | {
        "weight_parts": (*PARTS, "all"),
        "weight_distance": distance,
        "control_weight_distance": unrelated,
        "weight_names": tuple(each.name for each in order),
        "weight_moved": np.array([each.distance for each in order]),
    }


def _no_states(why: str, notes: list[str]) -> dict[str, np.ndarray]:
    notes.append(f"distances of states are left out: {why}")
    names = ("state_distance", "state_cosine")
    return {f"{kind}{name}": np.zeros(0) for name in names for kind in ("", "control_")}


def _state_distances(
    one: np.ndarray, two: np.ndarray, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    order = rng.permutation(one.shape[1])
    rows = []
    for a, b in zip(one.astype(np.float64), two.astype(np.float64), strict=True):
        length = (np.linalg.norm(a, axis=1).mean() + np.linalg.norm(b, axis=1).mean()) / 2
        middle = (a.mean(axis=0) + b.mean(axis=0)) / 2
        rows.append(
            [
                value
                for c in (b, b[order])
                for value in (
                    np.linalg.norm(a - c, axis=1).mean() / max(length, 1e-12),
                    _row_cosine(a - middle, c - middle),
                )
            ]
        )
    found = np.array(rows)
    return {
        "state_distance": found[:, 0],
        "state_cosine": found[:, 1],
        "control_state_distance": found[:, 2],
        "control_state_cosine": found[:, 3],
    }


def _row_cosine(a: np.ndarray, b: np.ndarray) -> float:
    length = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    kept = length > 1e-12
    return float(((a * b).sum(axis=1)[kept] / length[kept]).mean()) if kept.any() else float("nan")
