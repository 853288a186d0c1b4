"""Every sum in float64, a layer at a time. The definition."""

import torch
from torch import Tensor

from kernels.class_moments.state import Moments


def run(moments: Moments, values: Tensor, cell: Tensor) -> None:
    """See `kernels.class_moments.update`; cells are not negative."""
    n = torch.bincount(cell, minlength=moments.n_cells).double()
    parts = [_layer(layer.double(), cell, n) for layer in values]
    moments.take(n, *(torch.stack(part) for part in zip(*parts, strict=True)))


def _layer(x: Tensor, cell: Tensor, n: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean [cell, d], spread [cell, d] and scatter [d, d] of x [item, d]."""
    mean = of_cells(x, cell, len(n)) / n.clamp_min(1)[:, None]
    apart = x - mean[cell]
    return mean, of_cells(apart * apart, cell, len(n)), apart.T @ apart


def of_cells(x: Tensor, cell: Tensor, n_cells: int) -> Tensor:
    """Sums of the rows of x [item, d] by cell, [cell, d]."""
    return x.new_zeros(n_cells, x.shape[1]).index_add_(0, cell, x)
