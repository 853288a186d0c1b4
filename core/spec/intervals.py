"""Intervals of shares."""

import math


def wilson(share: float, n: int) -> tuple[float, float]:
    """95 % interval of a share of n cases (Wilson 1927); (NaN, NaN) for none."""
    if not n or math.isnan(share):
        return float("nan"), float("nan")
    z = 1.959964
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, centre - half), min(1.0, centre + half)
