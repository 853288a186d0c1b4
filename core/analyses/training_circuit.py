"""The heads a task loses most without, checkpoint by checkpoint, and what two of them share."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def circuits(
    rows: Sequence[Mapping[str, np.ndarray]], shape: tuple[int, int], k: int
) -> dict[str, Any]:
    """The fields `effect`, `top`, `k`, `overlap` and its chance of `core.results.training`.

    rows   with "effect" [case, layer, head]; a row without it shares nothing (NaN)
    shape  (layers, heads)

    The diagonal compares the sets found on two halves of a row's own cases.
    """
    n = shape[0] * shape[1]
    mean, halves, known = [], [], []
    for row in rows:
        effect = row.get("effect")
        known.append(effect is not None)
        cases = np.full((2, n), np.nan) if effect is None else effect.reshape(len(effect), n)
        mean.append(cases.mean(axis=0))
        halves.append((cases[::2].mean(axis=0), cases[1::2].mean(axis=0)))
    top = np.stack([strongest(one, k) for one in mean])
    overlap = np.full((len(rows), len(rows)), np.nan)
    for a, b in np.ndindex(overlap.shape):
        if known[a] and known[b]:
            pair = [strongest(half, k) for half in halves[a]] if a == b else [top[a], top[b]]
            overlap[a, b] = jaccard(*pair)
    top[~np.array(known)] = -1
    expected, high = chance(n, k)
    return {
        "k": k,
        "effect": np.stack(mean).reshape(-1, *shape).astype("f4"),
        "top": top,
        "overlap": overlap,
        "chance_overlap": expected,
        "chance_overlap_high": high,
    }


def strongest(effect: np.ndarray, k: int) -> np.ndarray:
    """The k largest, the largest first; ties go to the lower number."""
    found: np.ndarray = np.argsort(-effect, kind="stable")[:k]
    return found


def jaccard(one: np.ndarray, other: np.ndarray) -> float:
    """|A and B| / |A or B|."""
    both = len(np.intersect1d(one, other))
    return both / max(len(one) + len(other) - both, 1)


def chance(n: int, k: int) -> tuple[float, float]:
    """(mean, 95 %) Jaccard of two sets of k drawn from n at random: hypergeometric."""
    from scipy.stats import hypergeom  # slow to import

    both = np.arange(k + 1)
    share = both / (2 * k - both)
    p = hypergeom.pmf(both, n, k, k)
    high = int(np.searchsorted(np.cumsum(p), 0.95))
    return float(share @ p), float(share[min(high, k)])
