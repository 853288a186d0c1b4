"""Linear probes of several families on one layer: their weights, for any label sets and folds.

The solvers are those of `depth`; here every column keeps its weight, so that it can be read on
other states and compared with others.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from core.analyses.probe_closed import CLOSED, Solve, closed
from core.analyses.probe_logistic import bound, logistic
from core.spec.errors import Error

METHODS = ("logistic", "difference", "lda", "pca")
_CONSTANT = 1e-7
_TINY = 1e-12


@dataclass(frozen=True)
class Trained:
    """weight [d, column] and bias [column], float64, for states as they are: a text is said to be
    positive where states @ weight + bias > 0."""

    weight: Tensor
    bias: Tensor

    def margin(self, x: Tensor) -> Tensor:
        """[item, column] of states [item, d]."""
        return x.double() @ self.weight + self.bias


def trained(
    x: Tensor,
    labels: np.ndarray,
    train: np.ndarray,
    method: str,
    c: float = 1.0,
    *,
    seed: int = 0,
    tolerance: float | None = None,
    check: Callable[[], None] = lambda: None,
) -> Trained:
    """One probe for every column.

    x       [item, d] states of one layer
    labels  [item, column] 0 or 1;  train [item, column] which items the column learns from
    method  "logistic" (penalty 1 / c on states standardised by the training items), "lda"
            (standardised, shrunk covariance), "difference" of the class means as they are, "pca"
            (first principal direction of the training items, which sees no label but for its
            sign), "random" (a random direction, its sign from the labels)
    tolerance  of the logistic regression; by default the closer the fewer items train
    The threshold of "difference", "pca" and "random" lies half way between the class means.
    """
    if method not in (*METHODS, "random"):
        raise Error(f"no probe {method[:40]!r}; there are {', '.join(METHODS)}")
    middle, size = _spread(x.double())
    flat = ((x.double() - middle) / size).float()
    _, first, number = np.unique(train.T, axis=0, return_index=True, return_inverse=True)
    fold = torch.from_numpy(number.reshape(-1)).to(x.device)
    given = torch.from_numpy(labels).to(x.device)
    kept = torch.from_numpy(train).to(x.device)
    if method in ("logistic", "lda"):
        sizes = [_spread(flat[kept[:, int(column)]].double())[1] for column in first]
        scale = torch.stack(sizes, dim=1)[:, fold]
    else:  # undoes the standardising: these look at the states as they are
        scale = (1 / size)[:, None].expand(-1, labels.shape[1])
    if method == "logistic":
        inverse = bound(flat.T @ flat, float(kept.float().mean()), 1 / c)
        fits = logistic(
            flat, inverse, given, kept, scale, 1 / c, 2, tolerance=tolerance, check=check
        )
    else:
        check()
        fits = closed(_solver(method, seed), flat, given, kept, fold, scale, 2)
    weight = fits.weight[..., 0].double() / size[:, None]
    return Trained(weight, fits.bias[:, 0].double() - middle @ weight)


def _spread(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation [d]; 1 for a channel that is constant."""
    mean, spread = x.mean(dim=0), x.std(dim=0, correction=0)
    return mean, torch.where(spread > _CONSTANT * mean.abs(), spread, torch.ones_like(spread))


def _solver(method: str, seed: int) -> Solve:
    if method == "lda":
        return CLOSED["lda"]
    if method == "difference":
        return CLOSED["means"]
    return _first if method == "pca" else partial(_random, seed=seed)


def _first(x: Tensor, labels: Tensor, n_classes: int) -> tuple[Tensor, Tensor]:
    """The first principal direction of x [item, d], centred, for every column."""
    del n_classes
    wide = x.shape[1] > len(x)
    _, vectors = torch.linalg.eigh(x @ x.T if wide else x.T @ x)
    along = x.T @ vectors[:, -1] if wide else vectors[:, -1]
    return _signed(x, labels, along[:, None].expand(-1, labels.shape[1]))


def _random(x: Tensor, labels: Tensor, n_classes: int, *, seed: int) -> tuple[Tensor, Tensor]:
    """A random direction for every column; a column has the same one in every fold."""
    del n_classes
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(x.shape[1], labels.shape[1], generator=generator, dtype=torch.float64)
    return _signed(x, labels, drawn.to(x))


def _signed(x: Tensor, labels: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Turned so that class 1 lies higher, at length 1, cut half way between the means."""
    weight = weight / torch.linalg.vector_norm(weight, dim=0).clamp_min(_TINY)
    along = x @ weight
    up = labels.to(along)
    high = (along * up).sum(0) / up.sum(0).clamp_min(1)
    low = (along * (1 - up)).sum(0) / (1 - up).sum(0).clamp_min(1)
    sign = torch.where(high >= low, 1.0, -1.0).to(along)
    return (weight * sign)[..., None], (-(high + low) / 2 * sign)[:, None]


def unit(weight: Tensor) -> Tensor:
    """Columns at length 1; a column of zeros stays."""
    return weight / torch.linalg.vector_norm(weight, dim=0, keepdim=True).clamp_min(_TINY)
