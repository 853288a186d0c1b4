"""What is asked about the vectors of categories: held-out words, right angles, simplices, effects.

Every function takes rows [row, d] of words in centred, whitened coordinates, so that the same
question can be put to rows dealt out anew.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from core.analyses.category_vectors import Tree, axes, scores, simplex, vector
from core.analyses.clouds import cosines

TRAIN = 0.7  # of the words of a category
MOST_ROWS = 500  # of one category; more are thinned, since a vector costs their cube
N_RANDOM = 20  # parents drawn for every category


@dataclass(frozen=True)
class Members:
    """Which rows a category has.

    rows   for each category the numbers of its rows, the words below it included
    word   [row] number of the word of a row: forms of a word go to one side of a split
    """

    rows: tuple[np.ndarray, ...]
    word: np.ndarray

    def split(self, category: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Its rows in two: 70 % of its words to learn from, the others to test on."""
        rows = self.rows[category]
        words = np.unique(self.word[rows])
        n = min(max(1, round(TRAIN * len(words))), len(words) - 1) or 1
        learn = np.isin(self.word[rows], rng.permutation(words)[:n])
        return rows[learn], rows[~learn]


def members(tree: Tree, words: Sequence[str], word: np.ndarray, seed: int) -> Members:
    """The rows of every category of a tree."""
    place = {text: number for number, text in enumerate(words)}
    rng = np.random.default_rng((seed, 13))
    found = []
    for own in tree.words:
        rows = np.flatnonzero(np.isin(word, [place[text] for text in own]))
        if len(rows) > MOST_ROWS:
            rows = np.sort(rng.choice(rows, MOST_ROWS, replace=False))
        found.append(rows)
    return Members(tuple(found), word)


@dataclass(frozen=True)
class HeldOut:
    """Scores of words along the vectors of their categories, 1 at the vector's end.

    train, test, test_sd, n_test  [category]; a word's score is its mean over the splits in which
    it was held out
    first  [category, d] vectors learned in the first split
    """

    train: np.ndarray
    test: np.ndarray
    test_sd: np.ndarray
    n_test: np.ndarray
    first: np.ndarray


def held_out(cloud: np.ndarray, own: Members, how: str, seed: int, n_splits: int) -> HeldOut:
    """Is there a vector that words it was not learned from share?"""
    found: list[tuple[float, float, float, int]] = []
    first = []
    for category, rows in enumerate(own.rows):
        rng = np.random.default_rng((seed, 14, category))
        total, times, train = np.zeros(len(cloud)), np.zeros(len(cloud)), []
        for split in range(n_splits):
            learn, test = own.split(category, rng)
            ell = vector(cloud[learn], how)
            train.append(scores(cloud[learn], ell).mean())
            total[test] += scores(cloud[test], ell)
            times[test] += 1
            if split == 0:
                first.append(ell)
        tested = rows[times[rows] > 0]
        each = total[tested] / times[tested]
        alone = len(each) == 0
        found.append(
            (
                float(np.mean(train)),
                float("nan") if alone else float(each.mean()),
                float("nan") if alone else float(each.std()),
                len(each),
            )
        )
    train_, test_, spread, n = np.array(found).T
    return HeldOut(train_, test_, spread, n.astype(int), np.stack(first))


def learned_rows(own: Members, tree: Tree, rng: np.random.Generator) -> np.ndarray:
    """[row] bool: one split for all categories, 70 % of the words that each has of its own."""
    found = np.zeros(len(own.word), dtype=bool)
    dealt: set[int] = set()
    for category in np.argsort(-tree.depth, kind="stable"):
        words = [w for w in np.unique(own.word[own.rows[category]]).tolist() if w not in dealt]
        dealt |= set(words)
        chosen = rng.permutation(words)[: max(1, round(TRAIN * len(words)))]
        found |= np.isin(own.word, chosen)
    return found


def vectors(cloud: np.ndarray, own: Members, how: str) -> np.ndarray:
    """[category, d] from all words of each."""
    return np.stack([vector(cloud[rows], how) for rows in own.rows])


def parents_of(
    cloud: np.ndarray, own: Members, tree: Tree, ells: np.ndarray, how: str, least: int,
    exclusive: bool,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Vectors [category, d] of each category's parent and of its grandparent, NaN without one.

    exclusive  the parent without the words of this child, and the grandparent without those of
               the parent: a parent holds its children's words, so their vectors share them
    """
    up = np.full_like(ells, np.nan)
    upper = np.full_like(ells, np.nan)
    for category, above in enumerate(tree.parent):
        if above < 0:
            continue
        if not exclusive:
            up[category] = ells[above]
        elif (rest := _without(own, int(above), category)).size >= least:
            up[category] = vector(cloud[rest], how)
        over = int(tree.parent[above])
        if over < 0:
            continue
        if not exclusive:
            upper[category] = ells[over]
        elif (rest := _without(own, over, int(above))).size >= least:
            upper[category] = vector(cloud[rest], how)
    return up, upper


def _without(own: Members, category: int, child: int) -> np.ndarray:
    return np.setdiff1d(own.rows[category], own.rows[child])


def angles(ells: np.ndarray, up: np.ndarray, upper: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(c1, c2) [category]: cosine of what a category adds to its parent with the parent, and with
    what the parent adds to the grandparent; NaN without one."""
    return _row_cosines(ells - up, up), _row_cosines(ells - up, up - upper)


def random_parents(
    ells: np.ndarray, tree: Tree, upper: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The same with parents drawn among unrelated categories, the mean over 20 of them."""
    n = len(ells)
    found = np.full((2, n), np.nan)
    for category in range(n):
        if tree.parent[category] < 0:
            continue
        strange = [other for other in range(n) if not tree.related(category, other)]
        if not strange:
            continue
        some = ells[rng.choice(strange, min(N_RANDOM, len(strange)), replace=False)]
        over = np.broadcast_to(upper[category], some.shape)
        both = angles(np.broadcast_to(ells[category], some.shape), some, over)
        found[:, category] = [float(one.mean()) for one in both]
    return found[0], found[1]


def _row_cosines(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    top = (one * other).sum(axis=1)
    return np.divide(top, length, out=np.full(len(top), np.nan), where=length > 0)


def agreement(cosine: np.ndarray, distance: np.ndarray) -> float:
    """Spearman correlation of cosines with 1 / (1 + steps in the tree), over pairs; NaN where all
    pairs are equally far."""
    from scipy.stats import spearmanr  # not at the top: it takes a second to import

    pair = np.triu_indices(len(cosine), 1)
    near = 1 / (1 + distance[pair])
    if len(near) < 3 or np.ptp(near) == 0 or np.ptp(cosine[pair]) == 0:
        return float("nan")
    return float(spearmanr(cosine[pair], near).statistic)


def families(ells: np.ndarray, tree: Tree) -> tuple[np.ndarray, np.ndarray]:
    """(regularity, cosine) [family] of every parent with three children or more: deviation of the
    edges between its children over their mean, and the mean cosine between what tells one child
    from the first and the parent."""
    found = []
    for parent, below in simplices(tree):
        rest = ells[below[1:]] - ells[below[0]]
        across = cosines(rest, ells[parent][None])[:, 0]
        found.append((simplex(ells[below]), float(across.mean())))
    both = np.array(found).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def simplices(tree: Tree) -> list[tuple[int, list[int]]]:
    return [(parent, below) for parent, below in tree.families() if len(below) > 2]


@dataclass(frozen=True)
class Focus:
    """One category looked at closely: numbers of itself, its parent, a sibling, another parent,
    and up to four children of the parent, itself first. -1 where there is none."""

    category: int
    parent: int
    sibling: int
    toward: int
    corners: tuple[int, ...]


def focus(tree: Tree, category: int, toward: int = -1) -> Focus:
    parent = int(tree.parent[category])
    siblings = [one for one in tree.children(parent) if one != category] if parent >= 0 else []
    if toward < 0 and parent >= 0:
        over = int(tree.parent[parent])
        beside = tree.children(over) if over >= 0 else list(np.flatnonzero(tree.parent < 0))
        fit = [int(one) for one in beside if one != parent and not tree.related(int(one), category)]
        toward = next(iter(sorted(fit, key=lambda one: -len(tree.children(one)))), -1)
    corners = (category, *siblings[:3]) if len(siblings) > 1 else ()
    return Focus(category, parent, siblings[0] if siblings else -1, toward, corners)


def planes(ells: np.ndarray, one: Focus) -> np.ndarray:
    """Axes [3, 2, d] of three planes: parent and child; parent and what tells a sibling from the
    child; what tells another parent from the parent, and that. NaN where one is missing."""
    found = np.full((3, 2, ells.shape[1]), np.nan)
    if one.parent < 0:
        return found
    found[0] = axes(np.stack([ells[one.parent], ells[one.category]]))
    if one.sibling >= 0:
        between = ells[one.sibling] - ells[one.category]
        found[1] = axes(np.stack([ells[one.parent], between]))
        if one.toward >= 0:
            found[2] = axes(np.stack([ells[one.toward] - ells[one.parent], between]))
    return found


def solids(ells: np.ndarray, one: Focus) -> np.ndarray:
    """Axes [2, 3, d] of the space of three siblings and of the tetrahedron of four, NaN where there
    are fewer."""
    found = np.full((2, 3, ells.shape[1]), np.nan)
    if len(one.corners) >= 3:
        found[0] = axes(ells[list(one.corners[:3])])
    if len(one.corners) >= 4:
        found[1] = axes(ells[list(one.corners[1:4])] - ells[one.corners[0]])
    return found


Effect = tuple[str, int, int, float, float, int]


def effects(
    cloud: np.ndarray, own: Members, tree: Tree, one: Focus, how: str, seed: int, n_splits: int,
    check: Callable[[], None],
) -> list[Effect]:  # fmt: skip
    """What a step of length 1 from one parent to another does to the difference of two words.

    (kind, category, category, mean, deviation, pairs): "across" the two parents, or "within" one
    between two of its children, in logits; words held out of the vectors, all pairs, mean over
    the splits.
    """
    if one.toward < 0 or one.parent < 0:
        return []
    asked: list[tuple[str, int, int]] = [("across", one.parent, one.toward)]
    for parent in (one.parent, one.toward):
        below = tree.children(parent)
        asked += [("within", a, b) for n, a in enumerate(below[:4]) for b in below[n + 1 : 4]]
    total: dict[int, list[tuple[float, float, int]]] = {n: [] for n in range(len(asked))}
    rng = np.random.default_rng((seed, 15))
    for _ in range(n_splits):
        check()
        learn = [own.split(category, rng)[0] for category in (one.parent, one.toward)]
        away = vector(cloud[learn[1]], how) - vector(cloud[learn[0]], how)
        length = np.linalg.norm(away)
        if not length > 0:
            continue
        along = cloud @ (away / length)
        seen = np.union1d(*learn)
        for number, (_, a, b) in enumerate(asked):
            left, right = (np.setdiff1d(own.rows[side], seen) for side in (a, b))
            if len(left) and len(right):
                mean = along[right].mean() - along[left].mean()
                spread = float(np.sqrt(along[right].var() + along[left].var()))
                total[number].append((float(mean), spread, len(left) * len(right)))
    found = []
    for number, (kind, a, b) in enumerate(asked):
        if total[number]:
            mean, spread, n = np.mean(total[number], axis=0)
            found.append((kind, a, b, float(mean), float(spread), round(n)))
    return found
