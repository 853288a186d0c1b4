"""Clusters of decoder rows, and how irreducible the tokens of a cluster are.

Engels et al. 2024, "Not All Language Model Features Are Linear".
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from core.analyses import circles
from core.analyses.layout import groups

LINKS = 2  # nearest neighbours that a feature is linked to
MOST_MEMBERS = 1_000
PLANES = ((1, 2), (2, 3), (3, 4), (4, 5))  # of components, the first is number 1
LEAST_MIXTURE = 0.01  # a plane below it holds a few strays and nothing else
MOST_POINTS = 4_096  # that the strips of the mixture are laid over
TILE = 2_048
FLAT = 1e-9


def by_neighbours(rows: Tensor, threshold: float) -> list[np.ndarray]:
    """Connected components of rows [feature, d] of length 1, each linked to its two nearest of
    cosine above the threshold; of 2 to 1,000 rows, the largest first.
    """
    from scipy.sparse import coo_matrix  # slow to import
    from scipy.sparse.csgraph import connected_components

    starts, ends = [], []
    for start in range(0, len(rows), TILE):
        close = rows[start : start + TILE] @ rows.T
        own = torch.arange(len(close))
        close[own, own + start] = -2
        value, near = close.topk(min(LINKS, len(rows) - 1), dim=1)
        which, place = (value > threshold).nonzero(as_tuple=True)
        starts.append((which + start).numpy())
        ends.append(near[which, place].numpy())
    one, other = np.concatenate(starts), np.concatenate(ends)
    graph = coo_matrix((np.ones(len(one)), (one, other)), shape=(len(rows), len(rows)))
    return _of_labels(connected_components(graph, directed=False)[1])


def by_spectrum(rows: Tensor, n: int, seed: int) -> list[np.ndarray]:
    """n clusters of rows by normalised spectral clustering of 1 - angle / pi."""
    from scipy.sparse.linalg import eigsh  # slow to import

    affinity = (1 - (rows @ rows.T).double().clamp(-1, 1).acos() / math.pi).numpy()
    degree = 1 / np.sqrt(affinity.sum(axis=1))
    start = np.random.default_rng(seed).normal(size=len(rows))
    _, vectors = eigsh(degree[:, None] * affinity * degree, k=n, which="LA", v0=start)
    place = torch.from_numpy(vectors).float()
    place = place / place.norm(dim=1, keepdim=True).clamp_min(1e-12)
    return _of_labels(groups(place, n, seed, rounds=50)[0].numpy())


def _of_labels(label: np.ndarray) -> list[np.ndarray]:
    order = np.argsort(label, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(label[order])) + 1)
    fit = [np.sort(part) for part in parts if 2 <= len(part) <= MOST_MEMBERS]
    return sorted(fit, key=lambda part: (-len(part), int(part[0])))


@dataclass(frozen=True)
class Judged:
    """A cloud's first five components [token, 5], their shares of the variance [5], separability
    (its bias taken away) and mixture [plane], NaN where a plane is degenerate, and the score."""

    point: np.ndarray
    variance: np.ndarray
    separability: np.ndarray
    mixture: np.ndarray

    @property
    def score(self) -> float:
        """Mean of (1 - mixture) x separability over the planes that count; NaN without any."""
        each = (1 - self.mixture) * self.separability
        return float(np.nanmean(each)) if np.isfinite(each).any() else float("nan")


def judged(activations: np.ndarray, rows: np.ndarray) -> Judged:
    """What tokens [token, member] look like when only these decoder rows [member, d] write them."""
    left, size, _ = np.linalg.svd(rows.astype(np.float64), full_matrices=False)
    cloud = activations @ (left * size)  # in the span of the rows, the same up to a rotation
    cloud = cloud - cloud.mean(axis=0)
    value, axes = np.linalg.eigh(cloud.T @ cloud)
    value, axes = value[::-1].clip(0), axes[:, ::-1]
    n = min(5, len(value))
    point = np.zeros((len(cloud), 5))
    point[:, :n] = cloud @ axes[:, :n]
    variance = np.zeros(5)
    variance[:n] = value[:n] / max(float(value.sum()), 1e-300)
    bias = (circles.BINS - 1) ** 2 / (2 * len(cloud) * math.log(2))
    shared, strip = np.full(len(PLANES), np.nan), np.full(len(PLANES), np.nan)
    step = max(1, -(-len(cloud) // MOST_POINTS))
    for number, (_, other) in enumerate(PLANES):
        if variance[other - 1] <= FLAT:
            continue
        plane = point[:, number : number + 2]
        held = circles.mixture(plane[::step])
        if held >= LEAST_MIXTURE:
            strip[number] = held
            shared[number] = max(0.0, circles.separability(plane) - bias)
    return Judged(point, variance, shared, strip)
