"""Maps of the same items at many layers: few axes each, turned so that points move smoothly.

Three ways to choose axes by principal components (of each layer, of one layer for all, of class
means only) and a layout by neighbours; then every map is turned onto the one before (orthogonal
Procrustes, Schönemann 1966), so that nothing flips that has not moved.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from core.analyses.clouds import components
from core.analyses.layout import Similar, laid_out, nearest, principal, trusted

MODES = ("classes", "layer", "basis", "neighbours")
CARRIED_ON = 100  # epochs of a layout that starts from the one of the layer beside it
CARRIED_RATE = 0.25
MOST_RANKED = 1_000  # points that trustworthiness is measured on
FLAT = 1e-12


@dataclass(frozen=True)
class Axes:
    """Axes [dims, d] of a map, and where it is measured from [d]."""

    rows: np.ndarray
    middle: np.ndarray

    def places(self, cloud: np.ndarray) -> np.ndarray:
        """[item, dims]"""
        found: np.ndarray = (cloud - self.middle) @ self.rows.T
        return found


def principal_axes(cloud: np.ndarray, dims: int) -> Axes:
    """The first principal components of a cloud [item, d]; zeros where nothing varies."""
    middle = cloud.mean(axis=0)
    return Axes(components(cloud - middle, dims), middle)


def class_axes(cloud: np.ndarray, labels: np.ndarray, n_classes: int, dims: int) -> Axes:
    """Principal components of the class means alone.

    Where there are fewer classes than axes, the rest are components of what the first leave.
    """
    middle = cloud.mean(axis=0)
    means = means_of(cloud - middle, labels, n_classes)
    means = means[np.isfinite(means).all(axis=1)]
    own = components(means - means.mean(axis=0), min(dims, max(1, len(means) - 1)))
    if len(own) < dims:
        rest = cloud - middle
        rest = rest - rest @ own.T @ own
        own = np.concatenate([own, components(rest, dims - len(own))])
    return Axes(own, middle)


def means_of(cloud: np.ndarray, labels: np.ndarray, n_classes: int) -> np.ndarray:
    """[class, d] mean of the items of each class, NaN for none; by a matrix product, which is many
    times faster than adding item by item.
    """
    member = (labels == np.arange(n_classes)[:, None]).astype(cloud.dtype)
    count = member.sum(axis=1, keepdims=True)
    total = member @ cloud
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)


def shares(places: np.ndarray, cloud: np.ndarray) -> np.ndarray:
    """[dims] share of the variance of the cloud that each axis of the map holds."""
    total = max(float(cloud.var(axis=0).sum()), FLAT)
    found: np.ndarray = places.var(axis=0) / total
    return found


def shuffled_shares(cloud: np.ndarray, dims: int, rng: np.random.Generator) -> np.ndarray:
    """[dims] shares of the first components when every dimension is shuffled on its own (Horn
    1965): what a cloud without structure of the same spread and size gives. By subspace iteration.
    """
    centred = rng.permuted(cloud - cloud.mean(axis=0), axis=0)
    total = max(float((centred**2).sum()), FLAT)
    width = min(dims + 6, *centred.shape)
    basis = np.linalg.qr(rng.normal(size=(centred.shape[1], width)))[0]
    for _ in range(6):
        basis = np.linalg.qr(centred.T @ (centred @ basis))[0]
    strength = np.linalg.svd(centred @ basis, compute_uv=False) ** 2
    found = np.zeros(dims)
    found[: min(dims, width)] = strength[:dims] / total
    return found


def turned(places: np.ndarray, onto: np.ndarray) -> np.ndarray:
    """The map [item, dims] turned or mirrored so that it lies nearest to `onto`.

    The R orthogonal with the least ||places R - onto||, from the SVD of places^T onto.
    """
    left, _, right = np.linalg.svd(places.T @ onto)
    found: np.ndarray = places @ (left @ right)
    return found


def unit_spread(places: np.ndarray) -> tuple[np.ndarray, float]:
    """(the map centred, its mean square distance from its middle 1, what it was divided by)."""
    centred = places - places.mean(axis=0)
    size = float(np.sqrt((centred**2).sum(axis=1).mean()))
    return centred / max(size, FLAT), size


def alike(one: np.ndarray, other: np.ndarray) -> float:
    """Correlation of two maps' coordinates, all axes together."""
    a, b = (places - places.mean(axis=0) for places in (one, other))
    return float((a * b).sum() / max(np.linalg.norm(a) * np.linalg.norm(b), FLAT))


@dataclass(frozen=True)
class Near:
    """The nearest neighbours of every item of a cloud, by Euclidean distance.

    near, distance [item, k]; similar gives the likeness of some items to all: 2 x.y - |y|^2, which
    orders as the distance does.
    """

    near: torch.Tensor
    distance: torch.Tensor
    similar: Similar


def neighbours(cloud: np.ndarray, k: int, check: Callable[[], None] = lambda: None) -> Near:
    """Exact table of the k nearest of every item of a cloud [item, d]."""
    rows = torch.from_numpy(np.ascontiguousarray(cloud, dtype=np.float32))
    similar = likeness(rows)
    near, found = nearest(similar, len(rows), k, check)
    square = rows.square().sum(dim=1, keepdim=True)
    return Near(near, (square - found).clamp_min(0).sqrt(), similar)


def likeness(rows: torch.Tensor) -> Similar:
    """Ranks as Euclidean nearness does, by one matrix product."""
    square = rows.square().sum(dim=1)
    return lambda some: 2 * rows[some] @ rows.T - square


def first_layout(
    found: Near, cloud: np.ndarray, dims: int, seed: int, tell: Callable[[float], None]
) -> np.ndarray:
    """A layout by neighbours that starts from the principal components."""
    rows = torch.from_numpy(np.ascontiguousarray(cloud, dtype=np.float32))
    start = principal(rows, dims)
    place = laid_out(found.near, found.distance, start, seed=seed, tell=tell)
    return place.double().numpy()


def next_layout(found: Near, before: np.ndarray, seed: int) -> np.ndarray:
    """A layout that starts from the one of the layer beside it and goes on for fewer epochs."""
    start = torch.from_numpy(before.astype(np.float32))
    place = laid_out(
        found.near, found.distance, start, epochs=CARRIED_ON, rate=CARRIED_RATE, seed=seed,
        scaled=False,
    )  # fmt: skip
    return place.double().numpy()


def trusts(cloud: np.ndarray, maps: Sequence[np.ndarray], k: int, seed: int) -> tuple[float, ...]:
    """Trustworthiness of maps of a cloud, over up to 1,000 of its items; NaN for too few."""
    rows = torch.from_numpy(np.ascontiguousarray(cloud, dtype=np.float32))
    there = [torch.from_numpy(np.ascontiguousarray(one, dtype=np.float32)) for one in maps]
    return tuple(trusted(likeness(rows), there, k, most=MOST_RANKED, seed=seed))
