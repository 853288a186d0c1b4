"""Scores of a yes-or-no claim, and their intervals."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float

from core.spec import intervals

wilson = intervals.wilson


def auc(value: Float[np.ndarray, " item"], member: Bool[np.ndarray, " item"]) -> float:
    """How often a member lies above a non-member; ties count half. NaN when a side is empty."""
    n, m = int(member.sum()), int((~member).sum())
    if not n or not m:
        return float("nan")
    return float((_ranks(value)[member].sum() - n * (n + 1) / 2) / (n * m))


def aucs(
    values: Float[np.ndarray, "item unit"], member: Bool[np.ndarray, " item"]
) -> Float[np.ndarray, " unit"]:
    """`auc` of every column."""
    from scipy.stats import rankdata  # slow to import

    n, m = int(member.sum()), int((~member).sum())
    ranks = rankdata(values, axis=0)
    return (ranks[member].sum(axis=0) - n * (n + 1) / 2) / max(n * m, 1)


def _ranks(value: np.ndarray) -> np.ndarray:
    from scipy.stats import rankdata  # slow to import

    found: np.ndarray = rankdata(value)
    return found


def best_threshold(value: np.ndarray, member: np.ndarray) -> float:
    """The threshold with the best F1, half way between two values; the highest of equals."""
    edges = np.unique(value)
    between = (edges[1:] + edges[:-1]) / 2
    choices = np.concatenate([edges[:1] - 1, between])[::-1]
    marks = [f1(value > choice, member) for choice in choices]
    return float(choices[int(np.argmax(marks))])


def f1(said: np.ndarray, member: np.ndarray) -> float:
    """Harmonic mean of precision and recall; 0 without a hit."""
    hits = int((said & member).sum())
    return 2 * hits / max(int(said.sum()) + int(member.sum()), 1)


def precision(said: np.ndarray, member: np.ndarray) -> float:
    """Share of what was said to be members that is. NaN when nothing was said."""
    return float(member[said].mean()) if said.any() else float("nan")


def recall(said: np.ndarray, member: np.ndarray) -> float:
    """Share of the members that were said. NaN without members."""
    return float(said[member].mean()) if member.any() else float("nan")


def bootstrapped(
    measure: Callable[[np.ndarray, np.ndarray], float],
    value: np.ndarray,
    member: np.ndarray,
    seed: int = 0,
    repeats: int = 500,
) -> tuple[float, float]:
    """95 % interval of a measure of (value, member) over items drawn again with replacement.

    Members and others are drawn apart, so that neither side is ever empty.
    """
    sides = [np.flatnonzero(member), np.flatnonzero(~member)]
    if not all(map(len, sides)):
        return float("nan"), float("nan")
    drawn = np.random.default_rng(seed)
    found = []
    for _ in range(repeats):
        picked = np.concatenate([drawn.choice(side, len(side)) for side in sides])
        found.append(measure(value[picked], member[picked]))
    low, high = np.quantile(found, (0.025, 0.975))
    return float(low), float(high)
