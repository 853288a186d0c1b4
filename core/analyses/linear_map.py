"""A linear map from one space to another, its strength of ridge chosen by leaving items out."""

from dataclasses import dataclass

import numpy as np

# Penalties as multiples of the mean eigenvalue of the covariance.
PENALTIES = tuple(float(10.0**power) for power in np.arange(-2, 6.5, 0.5))
FOLDS = 5
_TINY = 1e-12


@dataclass(frozen=True)
class LinearMap:
    """y = x weight + bias; `penalty` in mean eigenvalues."""

    weight: np.ndarray  # [dx, dy]
    bias: np.ndarray  # [dy]
    penalty: float

    def __call__(self, x: np.ndarray) -> np.ndarray:
        found: np.ndarray = x @ self.weight + self.bias
        return found


def fitted(x: np.ndarray, y: np.ndarray) -> LinearMap:
    """Ridge regression of y [item, dy] on x [item, dx]; the penalty with the least error on items
    left out one at a time (which needs no further fit).
    """
    middle_x, middle_y = x.mean(axis=0), y.mean(axis=0)
    left, values, right = np.linalg.svd(x - middle_x, full_matrices=False)
    inner = left.T @ (y - middle_y)
    scale = max(float((values**2).mean()), _TINY) if len(values) else 1.0
    best, least = PENALTIES[-1], np.inf
    for penalty in PENALTIES:
        shrink = values**2 / (values**2 + penalty * scale)
        rest = (y - middle_y) - (left * shrink) @ inner
        # What an item did to its own prediction, the mean's share included.
        own = (left**2 @ shrink + 1 / len(x)).clip(max=1 - 1e-9)
        error = float(((rest / (1 - own)[:, None]) ** 2).sum())
        if error < least * (1 - 1e-9):
            best, least = penalty, error
    lengths = values / (values**2 + best * scale)
    weight = right.T @ (lengths[:, None] * inner)
    return LinearMap(weight, middle_y - middle_x @ weight, best)


@dataclass(frozen=True)
class Held:
    """What maps fitted on the other folds say of items they have not seen.

    r2 over all channels; at1, at5: share whose own vector is nearest by cosine, or among the five
    nearest, of those in its fold; error [item] squared distance over the mean squared distance from
    the training mean; chance1, chance5 of a guess; penalty mean of the folds' logarithms.
    """

    r2: float
    at1: float
    at5: float
    chance1: float
    chance5: float
    penalty: float
    error: np.ndarray


def held_out(
    x: np.ndarray, y: np.ndarray, rng: np.random.Generator, group: np.ndarray | None = None
) -> Held:
    """Five folds of items (whole groups where given); see `Held`."""
    n = len(x)
    names = np.arange(n) if group is None else np.unique(group, return_inverse=True)[1]
    order = rng.permutation(int(names.max()) + 1)
    fold = (order % min(FOLDS, len(order)))[names]
    error, total = np.zeros(n), np.zeros(n)
    hits = np.zeros((2, n))
    chance, penalties = np.zeros((2, n)), []
    for number in np.unique(fold):
        test = fold == number
        found = fitted(x[~test], y[~test])
        penalties.append(np.log10(found.penalty))
        said, middle = found(x[test]), y[~test].mean(axis=0)
        error[test] = ((y[test] - said) ** 2).sum(axis=1)
        total[test] = ((y[test] - middle) ** 2).sum(axis=1)
        hits[:, test] = _retrieved(said - middle, y[test] - middle)
        chance[:, test] = [[min(k / test.sum(), 1.0)] for k in (1, 5)]
    found_at, by_chance = hits.mean(axis=1), chance.mean(axis=1)
    whole = float(total.sum())
    return Held(
        r2=float(1 - error.sum() / whole) if whole > _TINY else float("nan"),
        at1=float(found_at[0]),
        at5=float(found_at[1]),
        chance1=float(by_chance[0]),
        chance5=float(by_chance[1]),
        penalty=float(10 ** np.mean(penalties)),
        error=error / max(whole / n, _TINY),
    )


def _retrieved(said: np.ndarray, true: np.ndarray) -> np.ndarray:
    """[2, item] whether an item's own vector is the nearest one, and among the nearest five.

    A tie counts as a miss for those it ties with.
    """
    said, true = (
        part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), _TINY)
        for part in (said, true)
    )
    likeness = said @ true.T
    nearer = (likeness >= np.diag(likeness)[:, None] - 1e-12).sum(axis=1)
    return np.stack([nearer <= 1, nearer <= 5]).astype(float)
