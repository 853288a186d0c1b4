"""The vector of a category of words, and the tree that categories stand in; plain arithmetic.

Vectors after Park, Choe, Jiang and Veitch 2024, "The Geometry of Categorical and Hierarchical
Concepts in Large Language Models"; shrinkage after Ledoit and Wolf 2004.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.spec.concept_set import ConceptSet

HOW = ("lda", "mean")
_TINY = 1e-300


def ledoit_wolf(centred: np.ndarray) -> tuple[float, float]:
    """(rho, mu) of centred rows [n, d]: the covariance is (1 - rho) Y'Y / n + rho mu I."""
    n, d = centred.shape
    gram = centred @ centred.T if n <= d else centred.T @ centred
    trace = float(np.trace(gram)) / n
    mu = trace / d
    square = float((gram**2).sum()) / n**2
    apart = (square - 2 * mu * trace + d * mu**2) / d
    lengths = (centred**2).sum(axis=1)
    noise = min(apart, (float((lengths**2).mean()) - square) / (n * d))
    return (noise / apart if apart > _TINY else 1.0), mu


def vector(rows: np.ndarray, how: str = "lda") -> np.ndarray:
    """The vector ell [d] of a category from the rows [n, d] of its words.

    how  "lda": u (m . u), m the mean and u the unit vector along Sigma^-1 m, Sigma the shrunk
         covariance: words of the category project to about ell; "mean": m itself

    n x n systems are solved where there are fewer words than dimensions.
    """
    mean: np.ndarray = rows.mean(axis=0)
    if how == "mean":
        return mean
    across = _across(rows - mean, mean)
    length = float(np.linalg.norm(across))
    if length <= _TINY:
        return mean
    unit = across / length
    found: np.ndarray = (mean @ unit) * unit
    return found


def _across(centred: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Sigma^-1 m up to a positive factor."""
    n, d = centred.shape
    rho, mu = ledoit_wolf(centred)
    held = rho * mu
    if mu <= _TINY or rho >= 1:
        return mean
    if n > d or held <= _TINY:
        sigma = (1 - rho) * centred.T @ centred / n + held * np.eye(d)
        solved: np.ndarray = np.linalg.lstsq(sigma, mean, rcond=None)[0]
        return solved
    small = centred @ centred.T
    small[np.diag_indices(n)] += n * held / (1 - rho)
    return mean - centred.T @ np.linalg.solve(small, centred @ mean)


def scores(rows: np.ndarray, ell: np.ndarray) -> np.ndarray:
    """How far rows [n, d] go along a vector: 1 at its end, 0 across it."""
    length = float(ell @ ell)
    found: np.ndarray = rows @ ell / length if length > _TINY else np.full(len(rows), np.nan)
    return found


@dataclass(frozen=True)
class Tree:
    """Categories that are kept, above before below.

    names   [category]
    parent  [category] number of the one above, -1 for none
    words   [category] its words and those of all below it
    """

    names: tuple[str, ...]
    parent: np.ndarray
    words: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    @property
    def depth(self) -> np.ndarray:
        """[category] steps down from its root."""
        found = np.zeros(len(self.names), dtype=int)
        for number, above in enumerate(self.parent):
            found[number] = 0 if above < 0 else found[above] + 1
        return found

    @property
    def root(self) -> np.ndarray:
        """[category] number of the root it hangs from."""
        found = np.arange(len(self.names))
        for number, above in enumerate(self.parent):
            found[number] = number if above < 0 else found[above]
        return found

    def above(self, number: int) -> list[int]:
        """The categories over one, nearest first."""
        found: list[int] = []
        while (number := int(self.parent[number])) >= 0:
            found.append(number)
        return found

    def children(self, number: int) -> list[int]:
        return [int(child) for child in np.flatnonzero(self.parent == number)]

    def families(self) -> list[tuple[int, list[int]]]:
        """(parent, its children) with two children or more."""
        each = ((number, self.children(number)) for number in range(len(self.names)))
        return [(number, below) for number, below in each if len(below) > 1]

    def distances(self) -> np.ndarray:
        """[category, category] steps from one to the other along the tree; two roots are two
        steps apart, over a root of all."""
        n = len(self.names)
        paths = [[number, *self.above(number), -1] for number in range(n)]
        found = np.zeros((n, n))
        for one in range(n):
            up = {place: steps for steps, place in enumerate(paths[one])}
            for other in range(one):
                down = next(steps for steps, place in enumerate(paths[other]) if place in up)
                found[one, other] = found[other, one] = up[paths[other][down]] + down
        return found

    def related(self, one: int, other: int) -> bool:
        """Whether one lies above the other, or they are the same."""
        return one == other or one in self.above(other) or other in self.above(one)


def tree(given: ConceptSet, known: Sequence[str], least: int) -> Tree:
    """The categories with enough words that are known, chains merged.

    least  words a category needs, with those below it; what has fewer is left out, and what hangs
           under it moves up. A category whose only remaining child holds its words too takes that
           child in, as the paper does: two vectors of nearly the same words say nothing.
    """
    readable = set(known)
    above = {one.name: one.parent for one in given.groups}
    order = sorted(above, key=lambda name: _depth(above, name))
    words = {name: tuple(w for w in given.below(name) if w in readable) for name in order}
    few = [name for name in order if len(words[name]) < least]
    notes = []
    if few:
        shown = ", ".join(f"{name} ({len(words[name])})" for name in few[:6])
        more = f" and {len(few) - 6} more" if len(few) > 6 else ""
        notes.append(f"left out, fewer than {least} readable words: {shown}{more}")
    for name in few:
        _lift(above, name)
    order = [name for name in order if name in above]
    taken = []
    for name in reversed(order):
        below = [child for child in above if above[child] == name]
        if len(below) == 1 and below[0] in above:
            taken.append(f"{below[0]} into {name}")
            _lift(above, below[0])
    if taken:
        notes.append(f"an only child is merged with what is above it: {', '.join(taken[:6])}")
    kept = [name for name in order if name in above]
    number = {name: place for place, name in enumerate(kept)}
    return Tree(
        tuple(kept),
        np.array([number.get(above[name], -1) for name in kept], dtype=int),
        tuple(words[name] for name in kept),
        tuple(notes),
    )


def _depth(above: dict[str, str], name: str) -> int:
    steps = 0
    while name := above.get(name, ""):
        steps += 1
    return steps


def _lift(above: dict[str, str], name: str) -> None:
    """Take a category out; what hangs under it moves up."""
    parent = above.pop(name)
    for child, over in above.items():
        if over == name:
            above[child] = parent


def simplex(points: np.ndarray) -> float:
    """Regularity of a simplex with vertices [k, d]: deviation of its edges over their mean, 0 for a
    regular one. Scale does not count."""
    k = len(points)
    edges = np.linalg.norm(points[:, None] - points[None], axis=2)[np.triu_indices(k, 1)]
    mean = float(edges.mean()) if len(edges) else 0.0
    return float(edges.std() / mean) if mean > _TINY else float("nan")


def axes(vectors: np.ndarray) -> np.ndarray:
    """Gram-Schmidt of vectors [k, d], in their order: orthonormal rows; zero where one adds
    nothing."""
    found: list[np.ndarray] = []
    for one in np.asarray(vectors, dtype=float):
        rest = one.copy()
        for _ in range(2):  # once more against rounding
            for axis in found:
                rest = rest - (rest @ axis) * axis
        length, whole = float(np.linalg.norm(rest)), float(np.linalg.norm(one))
        found.append(rest / length if length > 1e-9 * max(whole, _TINY) else np.zeros_like(rest))
    return np.stack(found)
