"""Running sums of how well tokens are reconstructed, whole and by group, added batch by batch."""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

PER_OCTAVE, OCTAVES = 24, 40  # bins of |y|: 2^-20 to 2^20
N_PARTS = 10  # of the tokens by |y|, of about equal size


@dataclass
class Sums:
    """What is added up over tokens of one dictionary under one condition; all float64."""

    d_out: int
    n: int = 0
    numbers: dict[str, float] = field(default_factory=dict)
    error: Tensor = field(init=False)  # [d_out] sum of y - y^

    def __post_init__(self) -> None:
        self.error = torch.zeros(self.d_out, dtype=torch.float64)

    def add(self, y: Tensor, made: Tensor, n_active: int, written: float) -> Tensor:
        """y and y^ [token, d_out]; returns |y - y^|^2 [token] float64 on the CPU."""
        missed = y - made
        squares = missed.double().square().sum(-1).cpu()
        length, own = made.double().norm(dim=-1), y.double().norm(dim=-1)
        product = (y.double() * made.double()).sum(-1)
        tiny = torch.finfo(torch.float64).tiny
        parts = {
            "error": squares.sum(),
            "cosine": (product / (length * own).clamp_min(tiny)).sum(),
            "ratio": (length / own.clamp_min(tiny)).sum(),
            "made": length.square().sum(),
            "product": product.sum(),
        }
        for name, value in parts.items():
            self._more(name, float(value))
        self._more("l0", n_active)
        self._more("l1", written)
        self.error += missed.double().sum(0).cpu()
        self.n += len(y)
        return squares

    def _more(self, name: str, value: float) -> None:
        self.numbers[name] = self.numbers.get(name, 0.0) + value

    def mean(self, name: str) -> float:
        """A sum over the tokens' number; NaN without tokens."""
        return self.numbers.get(name, 0.0) / self.n if self.n else float("nan")

    @property
    def bias(self) -> float:
        product = self.numbers.get("product", 0.0)
        return self.numbers.get("made", 0.0) / product if product else float("nan")

    def unexplained(self, variance: float) -> tuple[float, float]:
        """(FVU, FVU without a constant error); `variance` is sum |y - mean y|^2."""
        error = self.numbers.get("error", 0.0)
        constant = float(self.error.square().sum()) / max(self.n, 1)
        return _over(error, variance), _over(error - constant, variance)


class Groups:
    """Sums of y, of |y|^2 and of |y - y^|^2 by group of tokens, about a shift near the mean.

    FVU of a group is its error over its variance about the mean of all tokens.
    """

    def __init__(self, n: int, shift: Tensor) -> None:
        self.shift = shift.double().cpu()
        self.n = torch.zeros(n, dtype=torch.float64)
        self.total = torch.zeros(n, len(shift), dtype=torch.float64)
        self.square = torch.zeros(n, dtype=torch.float64)
        self.error = torch.zeros(n, dtype=torch.float64)

    def add(self, group: Tensor, y: Tensor, error: Tensor) -> None:
        """group [token] int64, y [token, d_out], error [token] = |y - y^|^2."""
        away = y.double().cpu() - self.shift
        self.n += torch.bincount(group, minlength=len(self.n))
        self.total.index_add_(0, group, away)
        self.square.index_add_(0, group, away.square().sum(-1))
        self.error.index_add_(0, group, error)

    @property
    def mean(self) -> Tensor:
        """Mean of y over all tokens, [d_out] float64."""
        return self.shift + self.total.sum(0) / self.n.sum().clamp_min(1)

    def variance(self) -> Tensor:
        """Sum of |y - mean|^2 of each group, [group] float64."""
        off = self.mean - self.shift
        about = self.square - 2 * self.total @ off + self.n * off.square().sum()
        return about.clamp_min(0)

    def fvu(self, parts: list[slice] | None = None) -> np.ndarray:
        """[group], or of neighbouring groups taken together; NaN where there is no token."""
        spread = self.variance().numpy()
        parts = parts or [slice(g, g + 1) for g in range(len(spread))]
        return np.array(
            [_over(float(self.error[part].sum()), float(spread[part].sum())) for part in parts]
        )


def norm_group(length: Tensor) -> Tensor:
    """The bin of each |y|, [token] int64."""
    place = (length.clamp_min(2.0 ** (-OCTAVES / 2)).log2() + OCTAVES / 2) * PER_OCTAVE
    return place.long().clamp(0, OCTAVES * PER_OCTAVE - 1).cpu()


def equal_parts(n: np.ndarray) -> list[slice]:
    """Neighbouring bins put together so that at most N_PARTS parts have about equal numbers."""
    ends = np.cumsum(n)
    used = np.flatnonzero(n)
    if not len(used):
        return []
    cuts = {int(np.searchsorted(ends, ends[-1] * part / N_PARTS)) for part in range(1, N_PARTS)}
    edges = [int(used[0]), *sorted(cut + 1 for cut in cuts), int(used[-1]) + 1]
    edges = sorted(set(edges))
    return [slice(a, b) for a, b in pairwise(edges) if n[a:b].sum()]


def norm_edge(place: int) -> float:
    """The |y| at which a bin begins."""
    return float(2.0 ** (place / PER_OCTAVE - OCTAVES / 2))


def _over(part: float, whole: float) -> float:
    return part / whole if whole > 0 else float("nan")
