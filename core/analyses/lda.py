"""Linear discriminants with shrinkage, fitted on some items and judged on others.

Fisher's discriminants with the within-class covariance shrunk after Ledoit and Wolf 2004: with more
dimensions than items any labels are separated in sample, so only held-out items count.
"""

from dataclasses import dataclass

import numpy as np

from core.analyses.category_vectors import ledoit_wolf
from core.analyses.clouds import class_means, silhouette

TINY = 1e-12


@dataclass(frozen=True)
class Discriminants:
    """Items [item, d] on the discriminants: (items - mean) / spread @ axes [d, k], best first."""

    mean: np.ndarray
    spread: np.ndarray
    axes: np.ndarray

    def of(self, cloud: np.ndarray) -> np.ndarray:
        """[item, k]."""
        found: np.ndarray = (cloud - self.mean) / self.spread @ self.axes
        return found


def discriminants(cloud: np.ndarray, label: np.ndarray, most: int) -> Discriminants:
    """Up to `most` discriminants, fewer than classes, of items [item, d], standardised."""
    mean, spread = cloud.mean(axis=0), cloud.std(axis=0)
    spread = np.where(spread > TINY * max(float(spread.max()), TINY), spread, np.inf)
    x = (cloud - mean) / spread
    left, size, right = np.linalg.svd(x, full_matrices=False)
    rank = int((size > 1e-9 * size[0]).sum())
    low = left[:, :rank] * size[:rank]  # the same items in the dimensions that they span
    classes, number = np.unique(label, return_inverse=True)
    means = class_means(low, number, len(classes))
    within = low - means[number]
    rho, mu = ledoit_wolf(within)
    scatter = (1 - rho) * within.T @ within / len(low) + (rho * mu + TINY) * np.eye(rank)
    value, axes = np.linalg.eigh(scatter)
    white = axes / np.sqrt(np.maximum(value, TINY * value[-1]))
    between = (means[number] @ white) / np.sqrt(len(low))
    _, _, best = np.linalg.svd(between, full_matrices=False)
    k = min(most, len(classes) - 1, rank)
    return Discriminants(mean, spread, right[:rank].T @ white @ best[:k].T)


def halves(label: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """[item] bool: a random half of every class."""
    found = np.zeros(len(label), dtype=bool)
    for each in np.unique(label):
        own = rng.permutation(np.flatnonzero(label == each))
        found[own[: len(own) // 2]] = True
    return found


def judged(
    cloud: np.ndarray, label: np.ndarray, train: np.ndarray, most: int
) -> tuple[np.ndarray, np.ndarray]:
    """Silhouettes of the training half and of the other, on 2, 3, ... discriminants [count]."""
    one = discriminants(cloud[train], label[train], most)
    sides = []
    for fit in (train, ~train):
        place = one.of(cloud[fit])
        counts = range(2, place.shape[1] + 1)
        sides.append(np.array([silhouette(place[:, :k], label[fit]) for k in counts]))
    return sides[0], sides[1]
