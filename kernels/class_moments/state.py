"""What is kept of every layer, and how two such sums become one."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class Moments:
    """Sums about the cell means, float64.

    n [cell] items, mean [layer, cell, d], spread [layer, cell, d] squared deviations from the
    mean of the cell, scatter [layer, d, d] products of deviations from the cell means, all cells.
    """

    n: Tensor
    mean: Tensor
    spread: Tensor
    scatter: Tensor

    @property
    def n_layers(self) -> int:
        return self.mean.shape[0]

    @property
    def n_cells(self) -> int:
        return self.mean.shape[1]

    @property
    def d(self) -> int:
        return self.mean.shape[2]

    def centre(self, cells: Tensor | None = None) -> Tensor:
        """Mean of all items of these cells (bool [cell], all by default), [layer, d]."""
        share = self._shares(cells)
        return torch.einsum("c,lcd->ld", share, self.mean)

    def variance(self, cells: Tensor | None = None) -> Tensor:
        """Variance of each channel over all items of these cells, [layer, d]."""
        share = self._shares(cells)
        kept = self.n > 0 if cells is None else cells
        total = self.n[kept].sum().clamp_min(1)
        apart = self.mean - self.centre(cells)[:, None]
        within = self.spread[:, kept].sum(dim=1) / total
        return within + torch.einsum("c,lcd->ld", share, apart * apart)

    def total(self) -> Tensor:
        """Products of deviations from the mean of all items, [layer, d, d]."""
        apart = (self.mean - self.centre()[:, None]) * self.n.sqrt()[:, None]
        return self.scatter + apart.transpose(1, 2) @ apart

    def _shares(self, cells: Tensor | None) -> Tensor:
        """Share of each cell among the items of the cells asked for, [cell]."""
        counted = self.n if cells is None else self.n * cells
        return counted / counted.sum().clamp_min(1)

    def take(self, n: Tensor, mean: Tensor, spread: Tensor, scatter: Tensor) -> None:
        """Add the sums of other items, of the same shapes, in place."""
        whole = (self.n + n).clamp_min(1)
        apart = mean - self.mean
        weight = (self.n * n / whole)[:, None]
        self.mean += apart * (n / whole)[:, None]
        self.spread += spread + weight * apart * apart
        self.scatter += scatter
        if bool((weight > 0).any()):
            root = apart * weight.sqrt()
            self.scatter.baddbmm_(root.transpose(1, 2), root)
        self.n += n


def new_moments(
    n_layers: int, n_cells: int, d: int, *, device: torch.device | str = "cpu"
) -> Moments:
    """Moments of no items."""

    def zeros(*shape: int) -> Tensor:
        return torch.zeros(*shape, dtype=torch.float64, device=device)

    cells = (n_layers, n_cells, d)
    return Moments(zeros(n_cells), zeros(*cells), zeros(*cells), zeros(n_layers, d, d))


def merge(one: Moments, other: Moments) -> Moments:
    """The moments of both sets of items together; they have no item in common."""
    if one.mean.shape != other.mean.shape:
        raise ValueError("these moments are of different layers, cells or widths")
    both = Moments(one.n.clone(), one.mean.clone(), one.spread.clone(), one.scatter.clone())
    both.take(other.n, other.mean, other.spread, other.scatter)
    return both
