"""Circles and lines: do the states of classes lie in their order, at which depth, beyond chance?

Engels et al. 2024, "Not All Language Model Features Are Linear"; without a dictionary.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.analyses import circles
from core.analyses.clouds import FLAT, components, prepared, varied
from core.analyses.item_states import ItemStates, set_states
from core.analyses.runs import Progress
from core.concept_sets import asked
from core.models.loaded import Loaded
from core.results.circle import Circle
from core.spec.concept_set import ConceptSet, of_words, short
from core.spec.errors import Error

K = 5
LEAST, MOST = 4, 200  # classes
N_DRAWS = 20
MOST_POINTS = 4_096


def circle(
    loaded: Loaded,
    progress: Progress,
    *,
    concepts: Any = "",
    kind: str = "",
    period: float = 0,
    contexts: Sequence[str] = (),
    read: str = "last",
    prepare: str = "centre",
    k: int = K,
    seed: int = 0,
) -> Circle:
    """The class means of an ordered set at every layer: circle or line, held out and permuted.

    concepts  a cycle or a line: a built-in set by name, a set, its plain table, or words in order
    kind      "cycle" or "line" where the words do not say it themselves
    period    classes of one turn where they are not all of one (ten, for numbers by their last
              digit); 0: as many as there are words
    k         principal components of the class means that are used, at most two fewer than classes
    """
    given = ordered(concepts, kind)
    if not isinstance(k, int) or not 1 + (given.kind == "cycle") <= k <= 20:
        raise Error(f"k= is a whole number from 2 to 20, not {str(k)[:20]!r}")
    seen = set_states(loaded, progress, given, contexts=contexts, read=read)
    asked_for = _targets(given, seen, float(period), k, seed)
    rows = []
    for layer in range(seen.n_layers):
        progress.step(0.6 + 0.4 * layer / seen.n_layers, f"orders at layer {layer}")
        cloud = seen.in_contexts(layer)
        rows.append(_layer(cloud, asked_for, prepare, seed) if _vary(cloud) else None)
    if not any(rows):
        varied(seen.at(seen.n_layers - 1))
    found = _stacked(rows)
    return Circle(
        request={},
        concept=given.name,
        about=given.about,
        source=given.source,
        kind=given.kind,
        period=asked_for.period,
        words=seen.words,
        dropped=seen.dropped,
        contexts=seen.contexts,
        read=read,
        prepare=prepare,
        k=asked_for.k,
        seed=seed,
        n_orders=len(asked_for.order),
        every_order=asked_for.every,
        n_points=len(seen.words) * len(seen.contexts),
        n_draws=N_DRAWS,
        number=asked_for.number,
        target=asked_for.target,
        **found,
    )


def _vary(cloud: np.ndarray) -> bool:
    """Do the class means differ? Words that end with the same piece have one embedding."""
    means = cloud.mean(axis=0)
    return bool(np.abs(means - means[0]).max() > FLAT * np.abs(means).max())


def _stacked(rows: list[dict[str, Any] | None]) -> dict[str, np.ndarray]:
    """Every measure over the layers; NaN (of whole numbers 0) where the words do not differ."""
    some = next(row for row in rows if row is not None)
    empty = {
        name: np.full_like(value, np.nan if np.asarray(value).dtype.kind == "f" else 0)
        for name, value in some.items()
    }
    return {name: np.stack([(row or empty)[name] for row in rows]) for name in some}


def ordered(concepts: Any, kind: str = "") -> ConceptSet:
    """The set asked for as a cycle or a line. Raises `Error` where it has no order."""
    given = asked(concepts)
    if kind not in ("", "cycle", "line"):
        raise Error(f"kind= is 'cycle' or 'line', not {str(kind)[:20]!r}")
    if kind and kind != given.kind:
        if len(given.groups) != 1 or given.kind == "pairs":
            raise Error(f"{short(given.name)} is no single list of words, so it has no order")
        own = of_words(given.name, given.groups[0].items, kind)
        given = ConceptSet(
            own.name, kind, own.groups, given.contexts, given.model, given.about, given.source,
            given.licence,
        )  # fmt: skip
    if given.kind not in ("cycle", "line"):
        raise Error(
            f"{short(given.name)} is a set of {given.kind}; a circle needs words in order: a cycle "
            "or a line (kind='cycle' for a plain list)"
        )
    if not LEAST <= given.n_items <= MOST:
        raise Error(
            f"{short(given.name)} has {given.n_items} words; an order is asked of {LEAST} to {MOST}"
        )
    return given


@dataclass(frozen=True)
class _Asked:
    """What is the same at every layer: places, targets and the other orders."""

    kind: str
    number: np.ndarray
    target: np.ndarray
    period: float
    k: int
    order: np.ndarray
    every: bool

    @property
    def round(self) -> bool:
        """Are the targets on a circle?"""
        return self.target.shape[1] == 2


def _targets(given: ConceptSet, seen: ItemStates, period: float, k: int, seed: int) -> _Asked:
    place = {word: number for number, word in enumerate(given.items)}
    number = np.array([place[word] for word in seen.words])
    n = len(number)
    if n < LEAST:
        why = seen.dropped[0][1] if seen.dropped else "too few were given"
        raise Error(f"{n} words of {short(given.name)} can be read, and {LEAST} are needed: {why}")
    if not (period == 0 or 2 <= period <= MOST):
        raise Error(f"period= is 0 or a number of words from 2 to {MOST}, not {period:g}")
    turn = period or (given.n_items if given.kind == "cycle" else 0)
    target = circles.on_circle(number, turn) if turn else circles.on_line(number)
    order, every = circles.orders(n, seed, cyclic=turn == n)
    return _Asked(given.kind, number, target, turn, min(k, n - 2), order, every)


def _layer(cloud: np.ndarray, one: _Asked, prepare: str, seed: int) -> dict[str, Any]:
    """Every measure of one layer from its states [context, class, d]."""
    apart = cloud - cloud.mean(axis=1, keepdims=True)
    flat = prepared(apart.reshape(-1, cloud.shape[-1]), prepare)
    apart = flat.reshape(cloud.shape)
    means = apart.mean(axis=0)
    means = means - means.mean(axis=0)
    axes = components(means, one.k)
    low = means @ axes.T  # [class, k]
    stream = cloud.mean(axis=0)
    plain = circles.fitted(stream, one.target, one.k)
    order = _order(low, one)
    return {
        **_held_out(means, one),
        **order,
        **_plane(apart, low, axes, list(order["plane"]), seed),
        "r2": circles.fitted(means, one.target, one.k).r2,
        "share": plain.share,
        "writes": plain.writes.astype("float32"),
        "frequency": circles.frequencies(means) if one.period == len(means) else np.zeros(0),
        "variance": (low**2).sum(axis=0) / max(float((means**2).sum()), 1e-300),
    }


def _held_out(means: np.ndarray, one: _Asked) -> dict[str, Any]:
    error = circles.angular_error if one.round else circles.distance
    hat = circles.hats(means, one.k, intercept=not one.round)
    said = hat @ one.target
    own = float(error(said, one.target))
    other = circles.permuted_errors(hat, one.target, one.order, error)
    wanted = one.target - one.target.mean(axis=0)
    left = ((said - one.target) ** 2).sum(axis=0) / np.maximum((wanted**2).sum(axis=0), 1e-300)
    return {
        "held_out": said,
        "error": own,
        "error_chance": float(other.mean()),
        "error_low": float(np.quantile(other, 0.05)),
        "error_p": circles.share_of_orders(-own, -other, one.every),
        "r2_held_out": float((1 - left).mean()),
    }


def _order(low: np.ndarray, one: _Asked) -> dict[str, Any]:
    if one.round:
        angle = np.arctan2(one.target[:, 1], one.target[:, 0])
        found, chosen = circles.turning(low, angle, one.order)
        plane = circles.planes(low.shape[1])[chosen]
    else:
        found, chosen = circles.ranking(low, one.order)
        plane = (chosen, 0 if chosen else 1)
    return {
        "order": float(found[0]),
        "order_high": float(np.quantile(found[1:], 0.95)),
        "order_p": circles.share_of_orders(float(found[0]), found[1:], one.every),
        "plane": np.array(plane),
    }


def _plane(
    apart: np.ndarray, low: np.ndarray, axes: np.ndarray, chosen: list[int], seed: int
) -> dict[str, Any]:
    """The best plane: its points, how round it is, whether it can be split."""
    place, point = low[:, chosen], apart @ axes[chosen].T
    cloud = point[: max(1, MOST_POINTS // len(place))]
    flat = (cloud - cloud.mean(axis=(0, 1))).reshape(-1, 2)
    turn = np.linalg.eigh(flat.T @ flat)[1]
    chance = circles.unrelated(cloud @ turn, N_DRAWS, np.random.default_rng((seed, 1)))
    return {
        "place": place,
        "point": point,
        "roundness": circles.roundness(place),
        "separability": circles.separability(flat @ turn),
        "separability_chance": float(chance[:, 0].mean()),
        "separability_high": float(np.quantile(chance[:, 0], 0.95)),
        "mixture": circles.mixture(flat @ turn),
        "mixture_chance": float(chance[:, 1].mean()),
    }
