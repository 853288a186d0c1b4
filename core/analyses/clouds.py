"""Clouds of states before anything is measured on them: preprocessing, spread, chance.

The menu of preprocessing and why: a few dimensions carry most of the norm of transformer states
("massive activations", Sun et al. 2024), and any two states point the same way (Ethayarajh 2019).
So pictures are centred and scaled, and every number has a null beside it.
"""

from collections.abc import Callable, Sequence

import numpy as np

from core.spec.errors import Error

PREPARED = ("zscore", "centre", "raw", "unit", "drop-1", "drop-2", "drop-3")
NOTHING = 1e-13  # share of the largest eigenvalue below which one is rounding
FLAT = 1e-9  # spread, relative to the largest, below which a dimension says nothing


def prepared(cloud: np.ndarray, how: str, background: np.ndarray | None = None) -> np.ndarray:
    """A cloud [item, d] float64 after one of `PREPARED`.

    how  "raw" leaves it; "centre" takes the mean away; "zscore" also divides every dimension by
         its standard deviation; "unit" gives every centred row length 1; "drop-k" takes the mean
         and the k leading principal components of the background away
    background  [item, d] where mean, spread and components are taken from; None: the cloud itself
    """
    if how not in PREPARED:
        raise Error(f"prepare= is one of {', '.join(PREPARED)}, not {str(how)[:20]!r}")
    cloud = np.asarray(cloud, dtype=np.float64)
    if how == "raw":
        return cloud
    source = cloud if background is None else np.asarray(background, dtype=np.float64)
    centred = cloud - source.mean(axis=0)
    if how == "zscore":
        spread = source.std(axis=0)
        largest = spread.max(initial=0.0)
        return np.divide(centred, spread, out=np.zeros_like(centred), where=spread > FLAT * largest)
    if how == "unit":
        return unit(centred)
    if how.startswith("drop-"):
        axes = components(source - source.mean(axis=0), int(how[-1]))
        return centred - centred @ axes.T @ axes
    return centred


def varied(cloud: np.ndarray, what: str = "the words") -> None:
    """Raise `Error` when all states are the same: nothing can be drawn then."""
    if not np.isfinite(cloud).all():
        raise Error(f"{what} have states that are not finite; the model overflows on them")
    if flat(cloud):
        raise Error(
            f"{what} have the same state at this layer, so there is no variance to show; choose a "
            "later layer or contexts in which they can differ"
        )


def flat(cloud: np.ndarray) -> bool:
    """Are all states of a cloud [item, d] the same, rounding apart?"""
    centred = cloud - cloud.mean(axis=0)
    most = float(np.abs(cloud).max(initial=0.0))
    return bool(np.abs(centred).max(initial=0.0) <= FLAT * max(1e-300, most))


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows of length 1; rows of zeros stay zero."""
    length = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.divide(rows, length, out=np.zeros_like(rows), where=length > 0)


def components(centred: np.ndarray, k: int) -> np.ndarray:
    """The k leading principal axes [k, d] of a centred cloud, signs fixed by the largest entry.

    By the smaller of the two Gram matrices, so n items cost n^3 or d^3, whichever is less.
    """
    n, d = centred.shape
    if n <= d:
        values, left = np.linalg.eigh(centred @ centred.T)
        axes = left[:, ::-1][:, :k].T @ centred
    else:
        values, right = np.linalg.eigh(centred.T @ centred)
        axes = right[:, ::-1][:, :k].T
    # An axis along which nothing varies is rounding: none is better than any.
    some = values[::-1][:k] > NOTHING * max(values[-1], 1e-300)
    axes = unit(np.where(some[:, None], axes, 0.0))
    if len(axes) < k:
        axes = np.concatenate([axes, np.zeros((k - len(axes), d))])
    largest = np.abs(axes).argmax(axis=1)
    sign = np.sign(axes[np.arange(len(axes)), largest])
    found: np.ndarray = axes * np.where(sign == 0, 1.0, sign)[:, None]
    return found


def cosines(one: np.ndarray, other: np.ndarray | None = None) -> np.ndarray:
    """Cosines of rows with rows [n, m]; 0 where a row is zero."""
    left = unit(one)
    return left @ (left if other is None else unit(other)).T


def class_means(cloud: np.ndarray, labels: np.ndarray, n_classes: int) -> np.ndarray:
    """[class, d] mean of the items of each class; NaN for a class without items."""
    total = np.zeros((n_classes, cloud.shape[1]))
    np.add.at(total, labels, cloud)
    count = np.bincount(labels, minlength=n_classes)[:, None]
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)


def permuted(
    measure: Callable[[np.ndarray], np.ndarray | float],
    labels: np.ndarray,
    times: int,
    rng: np.random.Generator,
    check: Callable[[], None] = lambda: None,
) -> np.ndarray:
    """[time, ...] of a measure under labels dealt out anew, the sizes of the classes kept."""
    found = []
    for _ in range(times):
        check()
        found.append(measure(rng.permutation(labels)))
    return np.array(found)


def above_chance(value: float, chance: Sequence[float] | np.ndarray) -> float:
    """p of a value among permuted ones, itself counted: (1 + as many at least as large)/(1 + n)."""
    drawn = np.asarray(chance, dtype=float)
    return float((1 + (drawn >= value).sum()) / (1 + len(drawn)))


def silhouette(cloud: np.ndarray, labels: np.ndarray, cosine: bool = False) -> float:
    """Mean silhouette of the items (Rousseeuw 1987), by Euclidean or cosine distance, -1 to 1.

    NaN with fewer than two classes of two items; an item alone in its class counts 0.
    """
    classes, number = np.unique(labels, return_inverse=True)
    if len(classes) < 2 or len(cloud) < 3:
        return float("nan")
    if cosine:
        apart = 1 - cosines(cloud)
    else:
        square = (cloud**2).sum(axis=1)
        apart = np.sqrt(np.maximum(square[:, None] + square - 2 * cloud @ cloud.T, 0))
    member = np.eye(len(classes))[number]  # [item, class]
    count = member.sum(axis=0)
    mean = apart @ member / count
    own = count[number]
    inside = apart @ member
    a = inside[np.arange(len(cloud)), number] / np.maximum(own - 1, 1)
    mean[np.arange(len(cloud)), number] = np.inf
    b = mean.min(axis=1)
    widest = np.maximum(np.maximum(a, b), 1e-300)
    score = np.where(own > 1, (b - a) / widest, 0.0)
    return float(score.mean())
