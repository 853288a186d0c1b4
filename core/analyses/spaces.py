"""Do two sets of vectors arrange the same items alike? Plain arithmetic in float64, no model.

x [item, dx] and y [item, dy] hold the same items in the same order. What is compared pairwise is
kept as one unit vector over all pairs of items, so that every pair of layers and every shuffle is
one product.
"""

from collections.abc import Sequence

import numpy as np

from core.analyses.clouds import FLAT, cosines, prepared

LEAST = 4  # items: the debiased estimate divides by n - 3
KEEP = 0.99  # share of the variance that SVCCA's components explain
_TINY = 1e-12


def standardised(x: np.ndarray, prepare: str = "zscore") -> np.ndarray:
    """The cloud after `core.analyses.clouds.prepared`; one in which nothing varies is all 0."""
    centred = x - x.mean(axis=0)
    if np.abs(centred).max(initial=0.0) <= FLAT * np.abs(x).max(initial=0.0):
        return np.zeros_like(centred)
    return prepared(x, prepare)


def pairs_of(n: int) -> tuple[np.ndarray, np.ndarray]:
    """First and second item of every pair, in the order of the vectors below."""
    return np.triu_indices(n, 1)


def kernel_vector(x: np.ndarray) -> np.ndarray:
    """The U-centred linear kernel over all pairs, at length 1 (zeros where nothing varies).

    The product of two of them is debiased linear CKA (Song et al. 2012; Kornblith et al. 2019 with
    the unbiased estimate of HSIC): centring leaves the diagonal out and divides by n - 2.
    """
    n = len(x)
    kernel = x @ x.T
    np.fill_diagonal(kernel, 0.0)
    rows = kernel.sum(axis=1) / (n - 2)
    centred = kernel - rows[:, None] - rows[None, :] + rows.sum() / (n - 1)
    return _unit(centred[pairs_of(n)])


def cka(x: np.ndarray, y: np.ndarray) -> float:
    """Debiased linear CKA: 1 alike up to a rotation, 0 on average for unrelated items."""
    return float(kernel_vector(x) @ kernel_vector(y))


def rank_vector(values: np.ndarray) -> np.ndarray:
    """Ranks centred and at length 1: the product of two is Spearman's correlation."""
    from scipy.stats import rankdata  # slow to import

    ranks = rankdata(values)
    return _unit(ranks - ranks.mean())


def dissimilarity_vector(x: np.ndarray) -> np.ndarray:
    """Ranked 1 - cosine over all pairs of items (Kriegeskorte et al. 2008), see `rank_vector`."""
    likeness = cosines(x)[pairs_of(len(x))]
    # Rounding must not rank what is equal.
    return rank_vector(-np.round(likeness, 9))


def without(vectors: np.ndarray, others: Sequence[np.ndarray]) -> np.ndarray:
    """Rank vectors [row, pair] with what other rank vectors explain taken out, at length 1."""
    known = [vector for vector in others if np.any(vector)]
    if not known:
        return vectors
    basis, _ = np.linalg.qr(np.stack(known, axis=1))
    rest = vectors - (vectors @ basis) @ basis.T
    return np.stack([_unit(row) for row in rest])


def shuffled(vectors: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Pairwise vectors [row, pair] with the items renamed: item i becomes item order[i]."""
    n = len(order)
    place = np.zeros((n, n), dtype=np.intp)
    first, second = pairs_of(n)
    place[first, second] = place[second, first] = np.arange(len(first))
    return vectors[:, place[order[first], order[second]]]


def neighbours(x: np.ndarray, k: int) -> np.ndarray:
    """[item, k] the nearest other items by cosine, nearest first; ties go to the lower number."""
    likeness = np.round(cosines(x), 9)
    np.fill_diagonal(likeness, -np.inf)
    order: np.ndarray = np.argsort(-likeness, axis=1, kind="stable")[:, :k]
    return order


def overlap(here: np.ndarray, there: np.ndarray) -> np.ndarray:
    """[item] Jaccard of two lists of neighbours [item, k]."""
    n, k = here.shape
    member = np.zeros((n, n), dtype=bool)
    np.put_along_axis(member, here, True, axis=1)
    both = np.take_along_axis(member, there, axis=1).sum(axis=1)
    found: np.ndarray = both / (2 * k - both)
    return found


def chance_overlap(n: int, k: int) -> float:
    """Mean Jaccard of two random sets of k among n - 1 others."""
    from scipy.stats import hypergeom

    both = np.arange(k + 1)
    return float((hypergeom.pmf(both, n - 1, k, k) * both / (2 * k - both)).sum())


def renamed(near: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Neighbours as they would be with the items renamed: item i becomes item order[i]."""
    back = np.argsort(order)
    return back[near[order]]


def scores(x: np.ndarray, most: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Left singular vectors [item, r] and singular values [r] of centred rows, rank only."""
    left, values, _ = np.linalg.svd(x, full_matrices=False)
    rank = int((values > values.max(initial=0.0) * 1e-9).sum())
    rank = min(rank, most) if most else rank
    return left[:, :rank], values[:rank]


def components(values: np.ndarray, n: int) -> int:
    """How many components SVCCA keeps: those of 99 % of the variance, at most a tenth of n."""
    if not len(values):
        return 0
    explained = np.cumsum(values**2) / (values**2).sum()
    wanted = int(np.searchsorted(explained, KEEP)) + 1
    return min(wanted, max(1, n // 10), len(values))


def svcca(one: tuple[np.ndarray, np.ndarray], two: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """(mean canonical correlation, the same weighted by projections), from `scores` of each.

    SVCCA after Raghu et al. 2017, the weights (PWCCA) after Morcos et al. 2018.
    """
    n = len(one[0])
    kept = [
        (left[:, : components(values, n)], values[: components(values, n)])
        for left, values in (one, two)
    ]
    if not all(left.shape[1] for left, _ in kept):
        return np.array([np.nan, np.nan])
    turn, rho, _ = np.linalg.svd(kept[0][0].T @ kept[1][0])
    rho = rho.clip(0.0, 1.0)
    shared = len(rho)
    # How much of x each canonical variate of x stands for.
    weight = np.abs(turn[:, :shared].T * kept[0][1]).sum(axis=1)
    return np.array([rho.mean(), (rho * weight).sum() / max(weight.sum(), _TINY)])


def procrustes(one: tuple[np.ndarray, np.ndarray], two: tuple[np.ndarray, np.ndarray]) -> float:
    """1 - distance² / 2 of two clouds at unit Frobenius norm under the best rotation: ||X'Y||_*."""
    (left, a), (right, b) = one, two
    if not len(a) or not len(b):
        return float("nan")
    inner = (left * (a / np.linalg.norm(a))).T @ (right * (b / np.linalg.norm(b)))
    return float(np.linalg.svd(inner, compute_uv=False).sum())


def _unit(vector: np.ndarray) -> np.ndarray:
    length = float(np.linalg.norm(vector))
    found: np.ndarray = vector / length if length > _TINY else np.zeros_like(vector)
    return found
