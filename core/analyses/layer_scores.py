"""What is measured of one layer's map, each number beside what chance gives."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from core.analyses import layer_frames as frames
from core.analyses.clouds import prepared, silhouette
from core.analyses.item_states import ItemStates
from core.analyses.set_points import Points

DRAWS, FEWER_DRAWS, LARGE = 20, 8, 1_000  # of shuffled labels; the second above LARGE items


@dataclass
class Question:
    """What is asked of every layer: all that does not depend on one.

    rows       row of the states of each point
    train      [item] are the axes fitted on it when others are held out
    scored, tested  numbers of the items, and of the held-out items, behind a silhouette
    null_item  numbers of the items drawn on axes of shuffled labels; null_group all those labels
    """

    points: Points
    states: ItemStates
    rows: list[int]
    mode: str
    prepare: str
    dims: int
    k: int
    seed: int
    train: np.ndarray
    scored: np.ndarray
    tested: np.ndarray
    null_item: np.ndarray
    null_group: np.ndarray
    basis: int = 0
    kept: dict[int, np.ndarray] = field(default_factory=dict)

    @property
    def n_classes(self) -> int:
        return len(self.points.names)

    @property
    def n_draws(self) -> int:
        return FEWER_DRAWS if len(self.rows) > LARGE else DRAWS

    def cloud(self, layer: int) -> np.ndarray:
        """[item, d] prepared states of a layer; the last one asked for is kept."""
        if layer not in self.kept:
            self.kept = {layer: prepared(self.states.at(layer)[self.rows], self.prepare)}
        return self.kept[layer]


def class_axes(question: Question, cloud: np.ndarray, group: np.ndarray) -> frames.Axes:
    return frames.class_axes(cloud, group, question.n_classes, question.dims)


def explained(
    question: Question, cloud: np.ndarray, places: np.ndarray, rng: np.random.Generator
) -> dict[str, Any]:
    nothing = np.full(question.dims, np.nan)
    if question.mode == "neighbours":
        return {"explained": nothing, "null_explained": nothing}
    return {
        "explained": frames.shares(places, cloud),
        "null_explained": frames.shuffled_shares(cloud, question.dims, rng),
    }


def silhouettes(
    question: Question,
    cloud: np.ndarray,
    places: np.ndarray,
    rng: np.random.Generator,
    check: Callable[[], None],
) -> dict[str, Any]:
    """In the map and on held-out items, each beside labels dealt out anew."""
    draws = np.full(question.n_draws, np.nan)
    if not question.points.labelled:
        nothing = float("nan")
        return {"silhouette": nothing, "null_silhouette": draws, "held_out": nothing,
                "null_held_out": draws}  # fmt: skip
    group, some = question.points.group, question.scored
    fitted = question.mode == "classes"
    found = {
        "silhouette": silhouette(places[some], group[some]),
        "held_out": _held_out(question, cloud, group) if fitted else float("nan"),
    }
    null, null_held = draws.copy(), draws.copy()
    for draw in range(question.n_draws):
        check()
        dealt = rng.permutation(group)
        there = places[some]
        if fitted:
            there = class_axes(question, cloud, dealt).places(cloud[some])
            null_held[draw] = _held_out(question, cloud, dealt)
        null[draw] = silhouette(there, dealt[some])
    return {**found, "null_silhouette": null, "null_held_out": null_held}


def _held_out(question: Question, cloud: np.ndarray, group: np.ndarray) -> float:
    """Silhouette of items whose class means they had no part in."""
    train, tested = question.train, question.tested
    axes = class_axes(question, cloud[train], group[train])
    return silhouette(axes.places(cloud[tested]), group[tested])


def trusted(
    question: Question, cloud: np.ndarray, places: np.ndarray, rng: np.random.Generator
) -> dict[str, float]:
    plain = places
    if question.mode != "layer":
        plain = frames.principal_axes(cloud, question.dims).places(cloud)
    chance = rng.normal(size=places.shape)
    maps = (places, plain, chance)
    own, linear, random = frames.trusts(cloud, maps, question.k, question.seed)
    return {"trust": own, "pca_trust": linear, "null_trust": random}
