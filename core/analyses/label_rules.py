"""The best rule for each feature, found on one half of the documents and scored on the other."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from core.analyses.label_facts import Family

LEAST_HITS, LEAST_PRECISION = 3, 0.5  # of an element of a set
COST = 0.01  # F1 that each element of a rule must bring


@dataclass(frozen=True)
class Fired:
    """Firings of n features: entry e is feature `row[e]` at `token[e]` with `value[e]`."""

    n: int
    row: np.ndarray
    token: np.ndarray
    value: np.ndarray

    def only(self, keep: np.ndarray) -> "Fired":
        return Fired(self.n, self.row[keep], self.token[keep], self.value[keep])


@dataclass(frozen=True)
class Best:
    """The best rule of each family for each feature; -1 fills up `atoms`.

    atoms [family, feature, 8]; chosen [family, feature] F1 on half A less the cost of its size;
    f1, precision, recall, weighted [family, feature] on half B; said [family, feature] tokens of
    half B at which the rule holds.
    """

    atoms: np.ndarray
    chosen: np.ndarray
    f1: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    weighted: np.ndarray
    said: np.ndarray


class Rules:
    """Families with how often each of their atoms holds in half A and in half B."""

    def __init__(self, families: Sequence[Family], keep: np.ndarray, half: np.ndarray) -> None:
        """keep, half [token]: tokens that count, and 0 for half A, 1 for half B."""
        self.families = tuple(families)
        self.half = half
        self.tokens = [np.flatnonzero(keep & (half == side)) for side in (0, 1)]
        self.said = [[family.said(part) for part in self.tokens] for family in self.families]

    def best(self, fired: Fired) -> Best:
        """The best rule of every family for every feature."""
        sides = [fired.only(self.half[fired.token] == side) for side in (0, 1)]
        n = [np.bincount(side.row, minlength=fired.n).astype(float) for side in sides]
        found = [
            self._family(family, said, sides, n)
            for family, said in zip(self.families, self.said, strict=True)
        ]
        return Best(*(np.stack(part) for part in zip(*found, strict=True)))

    def _family(
        self,
        family: Family,
        said: Sequence[np.ndarray],
        sides: Sequence[Fired],
        n: Sequence[np.ndarray],
    ) -> tuple[np.ndarray, ...]:
        one, two = sides
        atoms, chosen = _greedy(family.hits(one.row, one.token, one.n), said[0], n[0], family.most)
        hits = family.hits(two.row, two.token, two.n)
        heavy = family.hits(two.row, two.token, two.n, two.value)
        row, place = np.nonzero(atoms >= 0)
        picked = atoms[row, place]
        tp, weight, told = np.zeros(one.n), np.zeros(one.n), np.zeros(one.n)
        np.add.at(tp, row, _at(hits, row, picked))
        np.add.at(weight, row, _at(heavy, row, picked))
        np.add.at(told, row, said[1][picked])
        total = np.bincount(two.row, two.value, minlength=two.n)
        f1 = _over(2 * tp, told + n[1], 0.0)
        ways = (_over(tp, told), _over(tp, n[1]), _over(weight, total))
        return (atoms, chosen, np.where(atoms[:, 0] >= 0, f1, 0.0), *ways, told)


def _over(part: np.ndarray, whole: np.ndarray, empty: float = np.nan) -> np.ndarray:
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1), empty)


def _at(table: sparse.csr_matrix, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    if not len(row):
        return np.empty(0)
    return np.asarray(table[row, column]).reshape(-1)


def _greedy(
    hits: sparse.csr_matrix, said: np.ndarray, n: np.ndarray, most: int
) -> tuple[np.ndarray, np.ndarray]:
    """(atoms [row, 8] in the order taken, F1 less the cost [row]); all rows at once.

    Takes the atom that raises F1 most while it brings more than the cost. An element of a set
    must be right half of the time; a predicate that stands alone need not.
    """
    row = np.repeat(np.arange(hits.shape[0]), np.diff(hits.indptr))
    column, hit = hits.indices, hits.data
    fit = (hit >= LEAST_HITS) & ((hit >= LEAST_PRECISION * said[column]) | (most == 1))
    row, column, hit = row[fit], column[fit], hit[fit]
    size = said[column]
    atoms = np.full((hits.shape[0], 8), -1, dtype=np.int64)
    score = np.zeros(hits.shape[0])
    tp, told = np.zeros(hits.shape[0]), np.zeros(hits.shape[0])
    free = np.ones(len(row), dtype=bool)
    for turn in range(most):
        reached = np.where(free, 2 * (tp[row] + hit) / (told[row] + size + n[row]), -1.0)
        entry = _first_best(row, reached, hits.shape[0])
        here = np.flatnonzero(entry >= 0)
        here = here[reached[entry[here]] - COST > score[here] + COST * turn]
        if not len(here):
            break
        taken = entry[here]
        atoms[here, turn] = column[taken]
        tp[here] += hit[taken]
        told[here] += size[taken]
        free[taken] = False
        score[here] = reached[taken] - COST * (turn + 1)
        alive = np.zeros(hits.shape[0], dtype=bool)
        alive[here] = True
        free &= alive[row]  # a row that has stopped stays as it is
    return atoms, score


def _first_best(row: np.ndarray, value: np.ndarray, n: int) -> np.ndarray:
    """The entry of largest value of each row, the first of equals; -1 for a row without any."""
    found = np.full(n, -1, dtype=np.int64)
    order = np.lexsort((np.arange(len(row)), -value, row))
    ordered = row[order]
    first = np.ones(len(order), dtype=bool)
    first[1:] = ordered[1:] != ordered[:-1]
    found[ordered[first]] = order[first]
    return found


def shuffled(fired: Fired, rules: Rules, seed: int) -> Fired:
    """As many firings of each feature in each half, at tokens drawn at random."""
    drawn = np.random.default_rng(seed)
    side = rules.half[fired.token]
    token = np.empty_like(fired.token)
    for number, there in enumerate(rules.tokens):
        own = side == number
        token[own] = drawn.choice(there, int(own.sum())) if len(there) else 0
    # A token drawn twice for one feature fires once.
    _, first = np.unique(fired.row * (int(token.max(initial=0)) + 1) + token, return_index=True)
    return Fired(fired.n, fired.row[first], token[first], fired.value[first])
