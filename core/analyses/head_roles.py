"""Which rules a head fits, and which of them by the widest margin."""

from collections.abc import Mapping

import numpy as np

from core.results.heads import LEAST_QUERIES, ROLE_NAMES, ROLES, Role


def roles(
    scores: Mapping[str, np.ndarray],
    uniform: Mapping[str, np.ndarray],
    queries: Mapping[str, int],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(role [layer, head] int8, its score, fits [layer, head, role] uint8).

    The role is the rule whose threshold is exceeded by the largest factor. Scores of fewer than
    `LEAST_QUERIES` queries name nothing. A rule says what a head looks at, not what it causes.
    """
    shape = next(iter(scores.values())).shape
    margin = np.ones(shape)
    role = np.zeros(shape, dtype=np.int8)
    score = np.full(shape, np.nan, dtype=np.float32)
    fits = np.zeros((*shape, len(ROLE_NAMES)), dtype=np.uint8)
    for rule in _rules(queries):
        place = ROLE_NAMES.index(rule.name)
        found = scores[rule.kind]
        fit = (found >= rule.least) & (found >= rule.lift * uniform[rule.kind])
        fits[..., place] |= fit.astype(np.uint8)
        better = fit & (found / rule.least >= margin)
        if rule.unless:
            better &= fits[..., ROLE_NAMES.index(rule.unless)] == 0
        margin[better] = (found / rule.least)[better]
        role[better], score[better] = place, found[better]
    return role, score, fits


def _rules(queries: Mapping[str, int]) -> list[Role]:
    """The first rule of each role whose score rests on enough queries."""
    usable = [rule for rule in ROLES if queries.get(rule.kind, 0) >= LEAST_QUERIES]
    first = {rule.name: rule for rule in reversed(usable)}
    return sorted(first.values(), key=lambda rule: bool(rule.unless))
