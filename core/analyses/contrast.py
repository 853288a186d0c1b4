"""Directions between two sets of vectors, and how well they hold: plain arithmetic, no model.

All arrays are float64 [item, d_model]. Paired sets have their halves in the same rows.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

FOLDS = 5
SHUFFLES = 20
HALVES = 20
SHRINKAGE = 0.1  # of the within-class covariance towards a multiple of the identity
C = 0.1  # inverse strength of the logistic regression's L2 penalty, on standardised values
_TINY = 1e-12


@dataclass(frozen=True)
class Sides:
    """Two sets of vectors; `paired` says that row i of both belongs together."""

    positive: np.ndarray  # [positive, d_model]
    negative: np.ndarray  # [negative, d_model]
    paired: bool

    def at(self, positive: np.ndarray, negative: np.ndarray) -> "Sides":
        """The items of these numbers."""
        return Sides(self.positive[positive], self.negative[negative], self.paired)

    @property
    def n(self) -> int:
        """Items of the smaller side."""
        return min(len(self.positive), len(self.negative))


Fit = Callable[[Sides], np.ndarray]


def difference(sides: Sides) -> np.ndarray:
    """Difference of the class means; for pairs the mean of their differences, which is the same."""
    found: np.ndarray = sides.positive.mean(axis=0) - sides.negative.mean(axis=0)
    return found


def logistic(sides: Sides) -> np.ndarray:
    """Logistic regression (L2, C = 0.1) on standardised values, brought back to the stream."""
    from sklearn.linear_model import LogisticRegression

    x = np.concatenate([sides.positive, sides.negative])
    y = np.repeat([1, 0], [len(sides.positive), len(sides.negative)])
    spread = x.std(axis=0)
    spread[spread < _TINY] = 1.0
    model = LogisticRegression(C=C, max_iter=200).fit((x - x.mean(axis=0)) / spread, y)
    found: np.ndarray = model.coef_[0] / spread
    return found


def pca(sides: Sides) -> np.ndarray:
    """First principal direction: of the pair differences, or of all items where nothing is paired.

    Pairs are centred one by one, so that what both halves share has no weight. Its sign is that
    of the difference of means.
    """
    if sides.paired:
        x = sides.positive - sides.negative
    else:
        x = np.concatenate([sides.positive, sides.negative])
        x = x - x.mean(axis=0)
    values, vectors = np.linalg.eigh(x @ x.T if len(x) <= x.shape[1] else x.T @ x)
    first = vectors[:, values.argmax()]
    first = x.T @ first if len(x) <= x.shape[1] else first
    return first if first @ difference(sides) >= 0 else -first


def lda(sides: Sides) -> np.ndarray:
    """Fisher's direction: the shrunk within-class covariance, inverted, times the mean difference.

    covariance = (1 - s) within + s (trace / d) identity with s = 0.1.
    """
    x = np.concatenate(
        [sides.positive - sides.positive.mean(axis=0), sides.negative - sides.negative.mean(axis=0)]
    ) / np.sqrt(len(sides.positive) + len(sides.negative))
    d = x.shape[1]
    ridge = SHRINKAGE * max(float((x * x).sum()), _TINY) / d
    gap = difference(sides)
    if len(x) >= d:
        found: np.ndarray = np.linalg.solve((1 - SHRINKAGE) * x.T @ x + ridge * np.eye(d), gap)
        return found
    # Fewer items than numbers: the same inverse through a matrix of items (Woodbury).
    inner = np.linalg.solve(x @ x.T + ridge / (1 - SHRINKAGE) * np.eye(len(x)), x @ gap)
    return (gap - x.T @ inner) / ridge


METHODS: dict[str, Fit] = {"difference": difference, "logistic": logistic, "pca": pca, "lda": lda}


def unit(vector: np.ndarray) -> np.ndarray:
    """The vector at length 1; a vector of length zero stays as it is."""
    length = float(np.linalg.norm(vector))
    return vector / length if length > _TINY else vector


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float(unit(one) @ unit(other))


def wins(positive: np.ndarray, negative: np.ndarray) -> float:
    """How many (positive, negative) pairs of scores are in the right order; a tie is half."""
    order = np.sort(negative)
    below = np.searchsorted(order, positive, "left") + np.searchsorted(order, positive, "right")
    return float(below.sum()) / 2


def auc(positive: np.ndarray, negative: np.ndarray) -> float:
    """Share of (positive, negative) pairs in the right order: area under the ROC curve."""
    return wins(positive, negative) / (len(positive) * len(negative))


def folds(sides: Sides, rng: np.random.Generator) -> Iterator[tuple[Sides, Sides]]:
    """(training part, held-out part) of each fold; the halves of a pair stay together."""
    k = min(FOLDS, sides.n)
    ups = np.array_split(rng.permutation(len(sides.positive)), k)
    downs = ups if sides.paired else np.array_split(rng.permutation(len(sides.negative)), k)
    for up, down in zip(ups, downs, strict=True):
        rest = np.setdiff1d(np.arange(len(sides.positive)), up)
        others = np.setdiff1d(np.arange(len(sides.negative)), down)
        yield sides.at(rest, others), sides.at(up, down)


def held_out_auc(sides: Sides, fit: Fit, rng: np.random.Generator) -> float:
    """AUC on items the direction was not built from, compared within a fold, over all folds."""
    right, asked = 0.0, 0
    for train, test in folds(sides, rng):
        vector = fit(train)
        right += wins(test.positive @ vector, test.negative @ vector)
        asked += len(test.positive) * len(test.negative)
    return right / asked


def shuffled(sides: Sides, rng: np.random.Generator) -> Sides:
    """The same items under random labels: the halves of a pair swapped or not, else all mixed."""
    if sides.paired:
        swap = rng.random(len(sides.positive)) < 0.5
        up = np.where(swap[:, None], sides.negative, sides.positive)
        down = np.where(swap[:, None], sides.positive, sides.negative)
        return Sides(up, down, paired=True)
    items = rng.permutation(np.concatenate([sides.positive, sides.negative]))
    return Sides(items[: len(sides.positive)], items[len(sides.positive) :], paired=False)


def split_half(sides: Sides, fit: Fit, rng: np.random.Generator) -> float:
    """Mean cosine between the directions of two random halves of the items, 20 times."""
    found = []
    for _ in range(HALVES):
        up = rng.permutation(len(sides.positive))
        down = up if sides.paired else rng.permutation(len(sides.negative))
        one = sides.at(up[: len(up) // 2], down[: len(down) // 2])
        other = sides.at(up[len(up) // 2 :], down[len(down) // 2 :])
        found.append(cosine(fit(one), fit(other)))
    return float(np.mean(found))


def signal_and_noise(sides: Sides) -> tuple[float, float]:
    """Squared length of the true mean difference, and the squared error of one item a side.

    The measured squared length holds error / n on top of the true one, which is taken off.
    """
    if sides.paired:
        noise = float((sides.positive - sides.negative).var(axis=0, ddof=1).sum())
        error = noise / len(sides.positive)
    else:
        spreads = [float(x.var(axis=0, ddof=1).sum()) for x in (sides.positive, sides.negative)]
        noise = sum(spreads)
        error = spreads[0] / len(sides.positive) + spreads[1] / len(sides.negative)
    gap = difference(sides)
    return max(0.0, float(gap @ gap) - error), noise


def expected_cosine(signal: float, noise: float, n: float) -> float:
    """Expected cosine of the difference of means with the true direction, from n items a side.

    sqrt(signal / (signal + noise / n)). Isotropic data of gap D (in units of the spread of one
    coordinate) and width d: D / sqrt(D² + 2 d / n).
    """
    whole = signal + noise / n
    return float(np.sqrt(signal / whole)) if whole > 0 else 0.0
