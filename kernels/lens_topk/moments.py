"""Sums of powers of all scores of a direction, taken while a tile of scores is in the cache."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Powers:
    """Sums over the tokens of (score - centre) squared, cubed and to the fourth power.

    centre [direction] float32, sums [3, direction] float64, added to in place.
    """

    centre: Tensor
    sums: Tensor

    def of(self, directions: slice) -> "Powers":
        """Those of some directions; they share their memory."""
        return Powers(self.centre[directions], self.sums[:, directions])

    def add(self, scores: Tensor) -> None:
        """Take a tile [direction, token] of scores; float32 within it."""
        apart = scores - self.centre[:, None]
        squares = apart * apart
        self.sums[0] += squares.sum(1)
        self.sums[1] += torch.linalg.vecdot(squares, apart)
        self.sums[2] += torch.linalg.vecdot(squares, squares)
