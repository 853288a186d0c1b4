"""The mathematics of circles and lines among class means, and of features that cannot be split.

After Engels et al. 2024, "Not All Language Model Features Are Linear": the regression of a circle,
and the two indices that call a plane irreducible when no rotation makes its coordinates
independent (separability) and no line holds many of its points (mixture).
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from core.analyses.clouds import components

MOST_ORDERS = 10_000
BINS, ANGLES = 10, 25  # of the histograms; a quarter turn is enough, 100 angles to the full one
CLIPPED = (1.0, 99.0)  # percentiles: the bins span the range, so one stray point would set them
DIRECTIONS, OFFSETS, REACH = 180, 121, 3.0
THICKNESS = 0.1  # of a line, in units of the spread around it
ROUND_BY_CHANCE = math.sqrt(4 / math.pi - 1)  # sd / mean of the radii of Gaussian points
_HELD = 4_000_000  # numbers of permuted orders held at a time

Check = Callable[[], None]


def quiet() -> None:
    """Nobody to stop it."""


def on_circle(number: np.ndarray, period: float) -> np.ndarray:
    """[class, 2] cosine and sine of the angles of places 0, 1, 2 ... on a circle."""
    angle = 2 * np.pi * np.asarray(number, dtype=float) / period
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def on_line(number: np.ndarray) -> np.ndarray:
    """[class, 1] the places themselves."""
    return np.asarray(number, dtype=float)[:, None]


def hats(means: np.ndarray, k: int, *, intercept: bool) -> np.ndarray:
    """[class, class] so that row c times the targets is what the other classes say about class c.

    Principal components of the other classes' means [class, d], least squares from them to the
    targets, applied to the class left out. A circle has no intercept: its targets without one of
    them lean away from it, and an intercept would carry that lean into the answer.
    """
    n = len(means)
    left_side, size, _ = np.linalg.svd(means - means.mean(axis=0), full_matrices=False)
    small = left_side * size  # the same up to a rotation, in no more dimensions than classes
    found = np.zeros((n, n))
    for left in range(n):
        rest = np.delete(np.arange(n), left)
        middle = small[rest].mean(axis=0)
        axes = components(small[rest] - middle, k).T
        inverse = np.linalg.pinv((small[rest] - middle) @ axes, rcond=1e-9)
        found[left, rest] = (small[left] - middle) @ axes @ inverse
        if intercept:
            found[left, rest] += 1 / len(rest)
    return found


def angular_error(said: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Mean absolute angle in radians between predicted and true [..., class, 2]; chance pi / 2."""
    apart = np.arctan2(said[..., 1], said[..., 0]) - np.arctan2(truth[..., 1], truth[..., 0])
    return np.abs((apart + np.pi) % (2 * np.pi) - np.pi).mean(axis=-1)


def distance(said: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Mean absolute difference of predicted and true places [..., class, 1], in steps."""
    return np.abs(said[..., 0] - truth[..., 0]).mean(axis=-1)


def orders(n: int, seed: int, *, cyclic: bool, most: int = MOST_ORDERS) -> tuple[np.ndarray, bool]:
    """(orders [order, class], are they all?) of n classes; of a cycle the first stays in place."""
    fixed = int(cyclic)
    if math.factorial(n - fixed) <= most:
        every = itertools.permutations(range(fixed, n))
        return np.array([[0] * fixed + list(one) for one in every]), True
    rng = np.random.default_rng((seed, n))
    return np.array([rng.permutation(n) for _ in range(most)]), False


def share_of_orders(own: float, drawn: np.ndarray, every: bool) -> float:
    """p of a statistic (large is better) among those of other orders, itself among them."""
    better = int((drawn >= own - 1e-9).sum())
    return better / len(drawn) if every else (1 + better) / (1 + len(drawn))


def permuted_errors(
    hat: np.ndarray, targets: np.ndarray, order: np.ndarray, error: Callable[..., np.ndarray]
) -> np.ndarray:
    """[order] the error of the held-out classes when the classes are in other orders."""
    n, width = targets.shape
    found = []
    for part in np.array_split(order, max(1, order.size * width // _HELD)):
        truth = targets[part]  # [order, class, width]
        flat = truth.transpose(1, 0, 2).reshape(n, -1)
        said = (hat @ flat).reshape(n, len(part), width).transpose(1, 0, 2)
        found.append(error(said, truth))
    return np.concatenate(found)


def planes(k: int) -> list[tuple[int, int]]:
    """Pairs of principal components, leading ones first."""
    return sorted(itertools.combinations(range(k), 2), key=sum)


def turning(means: np.ndarray, angle: np.ndarray, order: np.ndarray) -> tuple[np.ndarray, int]:
    """(statistic [order] of the best plane for each, best plane for the order given).

    means  [class, k] of principal components
    angle  [class] of the targets

    The statistic of a plane is the mean over consecutive classes, the last and the first too, of
    cos(difference of their angles in the plane - difference they should have), in the better of
    the two senses. Row 0 of the answer is the classes as given. Every other order may choose its
    plane too, so that choosing is in the chance level.
    """
    n, own = len(means), np.arange(len(means))
    every = np.concatenate([own[None], order])
    step = np.exp(-1j * (np.roll(angle, -1) - angle))
    best = np.full(len(every), -np.inf)
    chosen = 0
    for number, (one, other) in enumerate(planes(means.shape[1])):
        seen = means[:, one] + 1j * means[:, other]
        size = np.abs(seen)
        seen = np.divide(seen, size, out=np.zeros_like(seen), where=size > 0)
        between = seen[None, :] * seen[:, None].conj()  # [from, to]
        for start in range(0, len(every), max(1, _HELD // n)):
            part = every[start : start + max(1, _HELD // n)]
            moved = between[part, np.roll(part, -1, axis=1)]
            value = np.maximum((moved * step).real.mean(1), (moved.conj() * step).real.mean(1))
            here = best[start : start + len(part)]
            if start == 0 and value[0] > here[0]:
                chosen = number
            np.maximum(here, value, out=here)
    return best, chosen


def ranking(means: np.ndarray, order: np.ndarray) -> tuple[np.ndarray, int]:
    """The same for a line: the largest |rank correlation| with one principal component."""
    n = len(means)
    place = np.argsort(np.argsort(means, axis=0, kind="stable"), axis=0, kind="stable")
    place = (place - (n - 1) / 2) / max(1e-12, math.sqrt((n**2 - 1) / 12) * n**0.5)
    number = (np.arange(n) - (n - 1) / 2) / max(1e-12, math.sqrt((n**2 - 1) / 12) * n**0.5)
    every = np.concatenate([np.arange(n)[None], order])
    found = np.abs(np.einsum("oik,i->ok", place[every], number))
    return found.max(axis=1), int(found[0].argmax())


def roundness(plane: np.ndarray) -> float:
    """sd / mean of the radii of points [class, 2] around their middle; 0 is a perfect circle."""
    radius = np.linalg.norm(plane - plane.mean(axis=0), axis=1)
    return float(radius.std() / max(radius.mean(), 1e-300))


@dataclass(frozen=True)
class Fitted:
    """A circle (or line) fitted to all class means.

    r2      share of the targets' variance that the k components say, in sample, averaged
    writes  [target, d]: the mean state plus targets @ writes is where a class should lie
    share   of the class means' variance that lies in its plane (or line)
    """

    r2: float
    writes: np.ndarray
    share: float


def fitted(means: np.ndarray, targets: np.ndarray, k: int) -> Fitted:
    """acts W = targets with W = Q R; a target is written as targets R^-1 Q^T along the components.

    Of a circle the middle of the class means is the middle of the circle.
    """
    centred = means - means.mean(axis=0)
    axes = components(centred, k)
    weights = np.linalg.pinv(centred @ axes.T, rcond=1e-9) @ targets
    said = centred @ axes.T @ weights
    wanted = targets - targets.mean(axis=0)
    r2 = 1 - ((said - wanted) ** 2).sum(axis=0) / np.maximum((wanted**2).sum(axis=0), 1e-300)
    q, r = np.linalg.qr(weights)
    plane = q.T @ axes
    share = ((centred @ plane.T) ** 2).sum() / max(float((centred**2).sum()), 1e-300)
    return Fitted(float(r2.mean()), np.linalg.pinv(r) @ plane, float(share))


def separability(cloud: np.ndarray, bins: int = BINS, angles: int = ANGLES) -> float:
    """Bits that the two coordinates of a cloud [item, 2] share in the rotation that shares least.

    0 where some rotation makes them independent. From histograms of bins x bins between the 1st
    and the 99th percentile of every rotation; not corrected for its bias, about
    (bins - 1)^2 / (2 n ln 2).
    """
    turn = np.pi / 2 * np.arange(angles) / angles
    x = np.outer(np.cos(turn), cloud[:, 0]) + np.outer(np.sin(turn), cloud[:, 1])
    y = np.outer(np.cos(turn), cloud[:, 1]) - np.outer(np.sin(turn), cloud[:, 0])
    cell = _binned(x, bins) * bins + _binned(y, bins) + (bins**2 * np.arange(angles))[:, None]
    counted = np.bincount(cell.ravel(), minlength=angles * bins**2)
    joint = counted.reshape(angles, bins, bins) / len(cloud)
    apart = joint.sum(axis=2, keepdims=True) * joint.sum(axis=1, keepdims=True)
    ratio = np.divide(joint, apart, out=np.ones_like(joint), where=joint > 0)
    return float((joint * np.log2(ratio)).sum(axis=(1, 2)).min())


def _binned(rows: np.ndarray, bins: int) -> np.ndarray:
    """[angle, item] bin of every value between two percentiles of its row."""
    low, high = np.percentile(rows, CLIPPED, axis=1)[..., None]
    width = np.maximum(high - low, 1e-300)
    return np.clip((rows - low) / width * bins, 0, bins - 1).astype(np.int64)


def mixture(cloud: np.ndarray, thickness: float = THICKNESS) -> float:
    """Largest share of a cloud [item, 2] that lies in a thin strip, over a grid of strips.

    |v.x + c| < thickness x rms(v.x + c) over 180 directions v and 121 offsets c within 3 standard
    deviations: near 0.1 for a Gaussian, large where the cloud is a line and something else.
    """
    cloud = cloud - cloud.mean(axis=0)
    turn = np.pi * np.arange(DIRECTIONS) / DIRECTIONS
    along = np.sort(np.outer(np.cos(turn), cloud[:, 0]) + np.outer(np.sin(turn), cloud[:, 1]))
    spread = along.std(axis=1)
    offset = np.linspace(-REACH, REACH, OFFSETS)
    best = 0
    for row, size in zip(along, spread, strict=True):
        if size <= 0:
            return 1.0
        middle = -offset * size
        reach = thickness * size * np.sqrt(1 + offset**2)
        inside = np.searchsorted(row, middle + reach) - np.searchsorted(
            row, middle - reach, "right"
        )
        best = max(best, int(inside.max()))
    return best / len(cloud)


def unrelated(cloud: np.ndarray, times: int, rng: np.random.Generator) -> np.ndarray:
    """[time, 2] separability and mixture by chance, for clouds [item, class, 2] of this shape.

    Separability: the second coordinate dealt out anew among the classes, all items of a class
    together, so that the classes share nothing. Mixture: Gaussian class means of the same
    covariance, with the items around them as they are.
    """
    centred = cloud - cloud.mean(axis=(0, 1))
    means = centred.mean(axis=0)
    around = centred - means
    n = len(means)
    root = np.linalg.cholesky(means.T @ means / n + 1e-12 * (means**2).mean() * np.eye(2))
    found = np.zeros((times, 2))
    for number in range(times):
        mixed = np.stack([centred[..., 0], centred[:, rng.permutation(n), 1]], axis=-1)
        gaussian = rng.normal(size=(n, 2)) @ root.T + around
        found[number] = separability(mixed.reshape(-1, 2)), mixture(gaussian.reshape(-1, 2))
    return found


def frequencies(means: np.ndarray) -> np.ndarray:
    """[frequency 1 .. n / 2] share of the variance of class means [class, d] in a cycle's order.

    Frequency 1 goes round once with the cycle, 2 twice: a model that adds on a circle may keep the
    day three times round instead. In random order every frequency has 2 / (n - 1), the last one
    of an even n half of that.
    """
    wave = np.abs(np.fft.rfft(means - means.mean(axis=0), axis=0)) ** 2
    power = wave.sum(axis=1)[1:] * 2
    if len(means) % 2 == 0:
        power[-1] /= 2
    share: np.ndarray = power / max(float(power.sum()), 1e-300)
    return share
