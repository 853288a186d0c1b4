"""Combinations that no training text contains, so that knowing a rule can be told from remembering
its cases.
"""

from __future__ import annotations

import random

from core.corpus.world.words import DAYS, HOURS, MONTHS

CYCLES: dict[str, tuple[str, ...]] = {"day": DAYS, "month": MONTHS, "hour": HOURS}
HELD_OUT_COUNT = {"day": 14, "month": 30, "hour": 30}
LARGEST_ADDEND = 10


def steps(cycle: str) -> list[tuple[int, int, int]]:
    """All (start, step, direction) triples of a cycle with a step of two or more; direction is 1 or
    -1.
    """
    size = len(CYCLES[cycle])
    return [
        (start, step, way) for start in range(size) for step in range(2, size) for way in (1, -1)
    ]


def _sample(name: str, items: list, count: int) -> frozenset:
    return frozenset(random.Random(f"held out: {name}").sample(items, count))


HELD_OUT_STEPS: dict[str, frozenset[tuple[int, int, int]]] = {
    cycle: _sample(cycle, steps(cycle), count) for cycle, count in HELD_OUT_COUNT.items()
}
ADDITIONS = [(a, b) for a in range(LARGEST_ADDEND + 1) for b in range(LARGEST_ADDEND + 1)]
HELD_OUT_ADDITIONS: frozenset[tuple[int, int]] = _sample("addition", ADDITIONS, 16)
