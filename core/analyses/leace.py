"""Linear erasure in closed form, from streaming moments; plain arithmetic, no model.

LEACE: "LEACE: Perfect linear concept erasure in closed form" (Belrose et al. 2023). An eraser
moves x to x - left^T (right (x - mean)); afterwards no linear classifier of the label beats the
best constant, and of all affine maps that do this it moves x least.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

METHODS = ("leace", "orth")
SMALL = 0.01  # singular values of the whitened cross-covariance below this are taken for zero
INLP_ROUNDS = 10


@dataclass(frozen=True)
class Eraser:
    """x' = x - left^T (right (x - mean)); left, right [k, d], mean [d], all float64."""

    left: np.ndarray
    right: np.ndarray
    mean: np.ndarray

    @property
    def rank(self) -> int:
        return len(self.left)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """x [item, d] without what the labels can be told by."""
        found: np.ndarray = x - ((x - self.mean) @ self.right.T) @ self.left
        return found


class Moments:
    """Means and covariances of x [item, d] and labels z [item, k], batch by batch, in float64.

    Every batch is centred on itself and added by the parallel form of Welford's update, so that a
    large mean costs no digits. Two of them add up to the moments of both sets.
    """

    def __init__(self, d: int, k: int) -> None:
        self.n = 0
        self.mean_x, self.mean_z = np.zeros(d), np.zeros(k)
        self._xx, self._xz = np.zeros((d, d)), np.zeros((d, k))

    def update(self, x: np.ndarray, z: np.ndarray) -> "Moments":
        """These moments and those of a batch: x [item, d], z [item, k] one-hot or real labels."""
        batch = Moments(len(self.mean_x), len(self.mean_z))
        if not len(x):
            return self
        x, z = np.asarray(x, dtype=np.float64), np.asarray(z, dtype=np.float64)
        batch.n, batch.mean_x, batch.mean_z = len(x), x.mean(axis=0), z.mean(axis=0)
        centred = x - batch.mean_x
        batch._xx, batch._xz = centred.T @ centred, centred.T @ (z - batch.mean_z)
        return self + batch

    def __add__(self, other: "Moments") -> "Moments":
        whole = Moments(len(self.mean_x), len(self.mean_z))
        whole.n = self.n + other.n
        share = other.n / max(1, whole.n)
        apart_x, apart_z = other.mean_x - self.mean_x, other.mean_z - self.mean_z
        whole.mean_x = self.mean_x + share * apart_x
        whole.mean_z = self.mean_z + share * apart_z
        weight = self.n * share
        whole._xx = self._xx + other._xx + weight * np.outer(apart_x, apart_x)
        whole._xz = self._xz + other._xz + weight * np.outer(apart_x, apart_z)
        return whole

    def covariance(self, shrinkage: float = 0.0) -> np.ndarray:
        """[d, d]; `shrinkage` (0 to 1) mixes in a multiple of the identity of the same trace."""
        found: np.ndarray = self._xx / max(1, self.n - 1)
        if shrinkage:
            level = np.trace(found) / len(found)
            found = (1 - shrinkage) * found + shrinkage * level * np.eye(len(found))
        return found

    def cross_covariance(self) -> np.ndarray:
        """[d, k] between x and the labels."""
        found: np.ndarray = self._xz / max(1, self.n - 1)
        return found

    def eraser(
        self, method: str = "leace", *, shrinkage: float = 0.0, keep_trace: bool = True
    ) -> Eraser:
        """The map that takes the labels out.

        "leace" moves x least; "orth" is the orthogonal projection away from the class means.
        `keep_trace`: where it would raise the total variance (fitted on a covariance that is not
        the items' own it can) it is mixed with the orthogonal projection as far as needed.
        """
        found = fit(self.covariance(shrinkage), self.cross_covariance(), self.mean_x, method)
        if not keep_trace or not found.rank or method == "orth":
            return found
        return replace(found, right=within_trace(self.covariance(), found.left, found.right))


def fit(xx: np.ndarray, xz: np.ndarray, mean: np.ndarray, method: str = "leace") -> Eraser:
    """The eraser of a covariance xx [d, d], a cross-covariance xz [d, k] and a mean [d]."""
    if method not in METHODS:
        raise ValueError(f"no method {method!r}; there are {', '.join(METHODS)}")
    if method == "orth":
        u, s, _ = np.linalg.svd(xz, full_matrices=False)
        basis = u[:, s > SMALL * max(float(s.max(initial=0.0)), 1e-300)].T
        return Eraser(basis, basis, mean)
    values, vectors = np.linalg.eigh(xx)
    keep = values > values[-1] * len(xx) * np.finfo(xx.dtype).eps
    scale = np.sqrt(np.where(keep, values, 1.0))
    whiten = (vectors * np.where(keep, 1 / scale, 0.0)) @ vectors.T
    colour = (vectors * np.where(keep, scale, 0.0)) @ vectors.T
    u, s, _ = np.linalg.svd(whiten @ xz, full_matrices=False)
    u = u[:, s > SMALL]
    return Eraser((colour @ u).T, u.T @ whiten, mean)


def within_trace(xx: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """`right` mixed with the orthogonal projection's, so that the variance does not grow.

    Both take the same subspace away (the span of the rows of `left`), so every mixture guards.
    """
    eye = np.eye(len(xx))
    flat = np.linalg.pinv(left.T)
    p, q = eye - left.T @ right, eye - left.T @ flat
    old = np.trace(xx)
    a, b, c = np.trace(p @ xx @ p.T), np.trace(p @ xx @ q.T), np.trace(q @ xx @ q.T)
    if a <= old:
        return right
    # share² a + 2 share (1 - share) b + (1 - share)² c = old, for the larger share of LEACE.
    square, linear = a - 2 * b + c, 2 * (b - c)
    root = np.sqrt(max(0.0, linear**2 - 4 * square * (c - old)))
    share = float(np.clip((-linear + root) / (2 * square), 0.0, 1.0))
    return share * right + (1 - share) * flat


def mean_difference(x: np.ndarray, labels: np.ndarray) -> Eraser:
    """Baseline: what lies along the differences of the class means is put to the overall mean."""
    means = np.stack([x[labels == one].mean(axis=0) for one in np.unique(labels)])
    basis = _basis(means[1:] - means[:1])
    return Eraser(basis, basis, x.mean(axis=0))


def random(x: np.ndarray, rank: int, rng: np.random.Generator) -> Eraser:
    """Baseline: as many random orthogonal directions put to their mean."""
    basis = _basis(rng.normal(size=(rank, x.shape[1])))
    return Eraser(basis, basis, x.mean(axis=0))


def inlp(
    x: np.ndarray,
    labels: np.ndarray,
    probe: Callable[[np.ndarray, np.ndarray], np.ndarray],
    rounds: int = INLP_ROUNDS,
) -> Eraser:
    """Baseline: iterated nullspace projection (Ravfogel et al. 2020).

    `probe(x, labels)` gives the weights [direction, d] of a linear classifier; what they span is
    projected out about the mean, again and again.
    """
    mean, basis = x.mean(axis=0), np.zeros((0, x.shape[1]))
    left = x - mean
    for _ in range(rounds):
        found = probe(left, labels)
        basis = _basis(np.concatenate([basis, found]))
        left = (x - mean) - (x - mean) @ basis.T @ basis
    return Eraser(basis, basis, mean)


def _basis(rows: np.ndarray) -> np.ndarray:
    """Orthonormal rows that span the same."""
    _, s, vt = np.linalg.svd(rows, full_matrices=False)
    found: np.ndarray = vt[s > 1e-10 * max(float(s.max(initial=0.0)), 1e-300)]
    return found


def moved_share(x: np.ndarray, eraser: Eraser) -> float:
    """Mean squared distance an eraser moves x [item, d], relative to its total variance."""
    whole = float(((x - x.mean(axis=0)) ** 2).sum())
    return float(((eraser(x) - x) ** 2).sum()) / whole if whole else 0.0
