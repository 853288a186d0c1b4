"""The shape of a path: how straight, how it turns, and what paths without a reason look like."""

from dataclasses import dataclass

import numpy as np

N_RANDOM = 100
RANGE = (0.025, 0.975)


def cosine(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Cosine over the last axis; NaN where one has no length."""
    size = np.linalg.norm(one, axis=-1) * np.linalg.norm(other, axis=-1)
    product = (one * other).sum(axis=-1)
    return np.asarray(np.where(size > 0, product / np.where(size > 0, size, 1.0), np.nan))


@dataclass(frozen=True)
class Shape:
    """Of paths [..., point, d]: lengths of steps [..., layer], straightness [...], turns [...,
    layer] (NaN for the first step), cosines with the end [..., point]."""

    step: np.ndarray
    straight: np.ndarray
    turn: np.ndarray
    to_end: np.ndarray


def shape(points: np.ndarray) -> Shape:
    """How these paths run."""
    steps = np.diff(points, axis=-2)
    length = np.linalg.norm(steps, axis=-1)
    whole = length.sum(axis=-1)
    crow = np.linalg.norm(points[..., -1, :] - points[..., 0, :], axis=-1)
    turn = np.full(length.shape, np.nan)
    turn[..., 1:] = cosine(steps[..., 1:, :], steps[..., :-1, :])
    straight = np.where(whole > 0, crow / np.where(whole > 0, whole, 1.0), np.nan)
    return Shape(length, straight, turn, cosine(points, points[..., -1:, :]))


def random_directions(points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A path from the same start with steps of the same lengths, each in a random direction."""
    steps = np.diff(points, axis=0)
    drawn = rng.standard_normal(steps.shape)
    drawn *= np.linalg.norm(steps, axis=1, keepdims=True) / np.linalg.norm(
        drawn, axis=1, keepdims=True
    )
    return np.concatenate([points[:1], points[0] + drawn.cumsum(axis=0)])


def random_order(points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same steps one after the other in a random order: same start, same end."""
    steps = np.diff(points, axis=0)
    return np.concatenate([points[:1], points[0] + rng.permutation(steps).cumsum(axis=0)])


@dataclass(frozen=True)
class Chance:
    """What a path's shape is without a reason: straight [2.5 %, mean, 97.5 %] and to_end [point]
    of random directions, turn [layer] and to_end [point] of random orders, and one random path."""

    straight: np.ndarray
    to_end: np.ndarray
    order_turn: np.ndarray
    order_to_end: np.ndarray
    drawn: np.ndarray


def chance(points: np.ndarray, rng: np.random.Generator, n: int = N_RANDOM) -> Chance:
    """Controls of one path [point, d]."""
    wild, mixed = [], []
    drawn = points
    for _ in range(n):
        drawn = random_directions(points, rng)
        wild.append(shape(drawn))
        mixed.append(shape(random_order(points, rng)))
    straight = np.array([one.straight for one in wild])
    low, high = np.quantile(straight, RANGE)
    return Chance(
        np.array([low, straight.mean(), high]),
        np.mean([one.to_end for one in wild], axis=0),
        np.mean([one.turn for one in mixed], axis=0),
        np.mean([one.to_end for one in mixed], axis=0),
        drawn,
    )


def directions(points: np.ndarray) -> np.ndarray:
    """Every state divided by its length; one of no length stays."""
    size = np.linalg.norm(points, axis=-1, keepdims=True)
    return np.asarray(points / np.where(size > 0, size, 1.0))


@dataclass(frozen=True)
class Flat:
    """A plane [2, d] through a middle [d], and the shares of the variance it was fitted to."""

    middle: np.ndarray
    axes: np.ndarray
    share: np.ndarray

    def of(self, points: np.ndarray) -> np.ndarray:
        return np.asarray((points - self.middle) @ self.axes.T)


def flat(rows: np.ndarray) -> Flat:
    """The first two principal components of rows [row, d], each pointing where its largest
    coordinate is positive."""
    middle = rows.mean(axis=0)
    _, values, right = np.linalg.svd(rows - middle, full_matrices=False)
    axes = np.zeros((2, rows.shape[1]))
    axes[: len(right[:2])] = right[:2]
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1)
    axes *= np.where(largest < 0, -1.0, 1.0)
    share = np.zeros(2)
    share[: len(values[:2])] = values[:2] ** 2 / max(float((values**2).sum()), 1e-300)
    return Flat(middle, axes, share)
