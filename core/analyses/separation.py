"""How far classes of vectors stand apart, and how much of the variance an attribute holds.

All measures come from distances or inner products that are made once per cloud, so that a hundred
permuted labellings cost little more than one.
"""

import numpy as np

from core.analyses.clouds import FLAT, unit

MOST = 1_000  # items whose distances are all held


def halved(cloud: np.ndarray) -> np.ndarray:
    """0.5 (x - mean) / sd of every dimension that varies; others are left out."""
    centred = cloud - cloud.mean(axis=0)
    spread = centred.std(axis=0)
    varied = spread > FLAT * spread.max(initial=0.0)
    found: np.ndarray = 0.5 * centred[:, varied] / spread[varied]
    return found


def distances(cloud: np.ndarray) -> np.ndarray:
    """Euclidean [item, item]."""
    square = (cloud**2).sum(axis=1)
    apart: np.ndarray = np.sqrt(np.maximum(square[:, None] + square - 2 * cloud @ cloud.T, 0))
    np.fill_diagonal(apart, 0.0)
    return apart


def _grouped(pairs: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(class [item], count [class], sums [class, item]) of a symmetric table [item, item]; the
    classes are those that occur."""
    _, own = np.unique(labels, return_inverse=True)
    sums, count = class_sums(pairs, own)
    return own, count, sums


def gdv(apart: np.ndarray, labels: np.ndarray, n_dimensions: int) -> float:
    """Generalised discrimination value from distances of `halved` points: mean over classes of the
    mean distance inside, less the mean over pairs of classes of that between, over sqrt(D).

    0 for no separation, the more negative the better (Schilling et al. 2021, "Quantifying the
    separability of data classes in neural networks"). NaN without two classes or without two
    items in any.
    """
    own, count, sums = _grouped(apart, labels)
    between, _ = class_sums(sums.T, own)  # over pairs of items
    many = count > 1
    n = len(count)
    if n < 2 or not many.any() or not n_dimensions:
        return float("nan")
    inside = np.diag(between)[many] / (count[many] * (count[many] - 1))
    across = between / np.outer(count, count)
    mean = across[np.triu_indices(n, 1)].mean()
    return float((inside.mean() - mean) / np.sqrt(n_dimensions))


def silhouette(apart: np.ndarray, labels: np.ndarray) -> float:
    """Mean silhouette from distances [item, item], -1 to 1; an item alone in its class counts 0."""
    own, count, sums = _grouped(apart, labels)
    if len(count) < 2 or len(apart) < 3:
        return float("nan")
    total, rows = sums.T, np.arange(len(apart))
    inside = total[rows, own] / np.maximum(count[own] - 1, 1)
    mean = total / count
    mean[rows, own] = np.inf
    near = mean.min(axis=1)
    widest = np.maximum(np.maximum(inside, near), 1e-300)
    return float(np.where(count[own] > 1, (near - inside) / widest, 0.0).mean())


def nearest_centroid(inner: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """[item] number of the class whose mean has the largest cosine with the item, itself left out
    of its own class; -1 for an item alone in its class. From inner products [item, item]."""
    own, count, sums = _grouped(inner, labels)
    along = sums.T  # x . sum of the class
    rows, self_ = np.arange(len(inner)), np.diag(inner)
    length = np.bincount(own, weights=along[rows, own])  # |sum of the class|^2
    squared = np.broadcast_to(length, along.shape).copy()
    squared[rows, own] += self_ - 2 * along[rows, own]
    top = along.copy()
    top[rows, own] -= self_
    cosine = top / np.sqrt(np.maximum(squared, 1e-300))
    cosine[rows[count[own] < 2]] = np.nan
    chosen = np.nan_to_num(cosine, nan=-np.inf).argmax(axis=1)
    found: np.ndarray = np.where(count[own] < 2, -1, chosen)
    return found


def balanced(chosen: np.ndarray, labels: np.ndarray) -> float:
    """Mean over classes of the share of items that are said to be of their own; items that could
    not be asked (-1) are left out. NaN where none could."""
    _, number = np.unique(labels, return_inverse=True)
    asked = chosen >= 0
    if not asked.any():
        return float("nan")
    right = (chosen == number)[asked]
    total = np.bincount(number[asked])
    hits = np.bincount(number[asked], weights=right)
    return float((hits[total > 0] / total[total > 0]).mean())


def centroid_accuracy(cloud: np.ndarray, labels: np.ndarray) -> float:
    """Balanced accuracy of the nearest class mean by cosine, every item left out once."""
    rows = unit(cloud)
    return balanced(nearest_centroid(rows @ rows.T, labels), labels)


def class_sums(cloud: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(sum [class, d], count [class]) of the classes that occur."""
    order = np.argsort(labels, kind="stable")
    _, start, count = np.unique(labels[order], return_index=True, return_counts=True)
    return np.add.reduceat(cloud[order], start, axis=0), count


def between(cloud: np.ndarray, labels: np.ndarray) -> float:
    """Between-group sum of squares of a centred cloud, over all dimensions."""
    total, count = class_sums(cloud, labels)
    return float(((total**2).sum(axis=1) / count).sum())


def adjusted(share: float, n: int, n_classes: int, part: float = 1.0) -> float:
    """Share of variance less what labels dealt out at random hold: (eta - e) / (1 - e).

    e = part (C - 1) / (N - 1), part the share of the variance that lies between the N units the
    labels belong to; with part 1 this is 1 - (1 - eta)(N - 1)/(N - C). NaN with a label a unit.
    """
    if n_classes >= n or n_classes < 2:
        return float("nan")
    chance = part * (n_classes - 1) / (n - 1)
    return (share - chance) / (1 - chance)
