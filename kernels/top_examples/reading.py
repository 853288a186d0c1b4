"""What a state says: shares, quantiles and bands of its histogram, by linear interpolation in bins.

A bin is a quarter of an octave (at most a quarter wider than its lower edge), so a quantile is
right to within that, and better where the counts are smooth. Counts at bin edges are exact.
"""

import numpy as np
import torch
from torch import Tensor

from kernels.top_examples.state import BINS, LOWEST, PER_OCTAVE, State

N_BANDS = 5


def edges() -> Tensor:
    """Bounds of the bins of one sign, [BINS + 2] float64: 0, 2**-14, ... 2**16."""
    octave = torch.arange(BINS + 1, dtype=torch.float64)
    whole = torch.div(octave, PER_OCTAVE, rounding_mode="floor")
    bounds = (1 + (octave - PER_OCTAVE * whole) / PER_OCTAVE) * 2.0 ** (whole + LOWEST)
    return torch.cat([torch.zeros(1, dtype=torch.float64), bounds])


def sides(state: State) -> tuple[Tensor, Tensor]:
    """Counts by magnitude of the positive and of the negative values, [unit, BINS + 1].

    The middle bin (|value| < 2**-14) counts for both as bin 0.
    """
    counts = state.histogram
    return counts[:, BINS:], counts[:, : BINS + 1].flip(1)


def above(counts: Tensor, threshold: Tensor, largest: Tensor) -> Tensor:
    """How many values lie above a threshold of each unit, [unit] float64.

    counts [unit, bin] of one sign or of both added, threshold and largest magnitude [unit].
    """
    low, high = _bounds(counts.device)
    high = torch.minimum(high, largest.double()[:, None])
    part = (high - threshold.double()[:, None]) / (high - low).clamp_min(1e-300)
    return (counts * part.clamp(0, 1)).sum(dim=1)


def quantile(counts: Tensor, share: float, largest: Tensor) -> Tensor:
    """The magnitude that a share of all values does not exceed, [unit] float32."""
    low, high = _bounds(counts.device)
    reached = counts.cumsum(dim=1, dtype=torch.float64)
    wanted = share * reached[:, -1:]
    at = torch.searchsorted(reached, wanted).clamp_max(BINS)[:, :1]
    before = reached.gather(1, at) - counts.gather(1, at)
    part = (wanted - before) / counts.gather(1, at).clamp_min(1)
    top = torch.minimum(high[at], largest.double()[:, None])  # no value lies above the largest
    return (low[at] + part * (top - low[at]).clamp_min(0))[:, 0].float()


def _bounds(device: torch.device) -> tuple[Tensor, Tensor]:
    """Lower and upper bound of every bin, [bin]; the last one is open."""
    bounds = edges().to(device)
    return bounds[:-1], torch.cat([bounds[1:-1], bounds.new_full((1,), torch.inf)])


def bands(counts: np.ndarray, largest: float) -> tuple[np.ndarray, np.ndarray]:
    """Share of the values and of their sum in each of five equal bands of (0, largest], [band].

    counts [bin] of one unit and one sign, the bin around 0 left out of both. A bin that an edge
    crosses is divided by width, and counts with the middle of each part.
    """
    low, high = (bound.numpy()[1:] for bound in _bounds(torch.device("cpu")))
    high = np.maximum(np.minimum(high, largest), low)
    cuts = np.linspace(0, largest, N_BANDS + 1)
    left = np.maximum(low[None], cuts[:-1, None])
    right = np.minimum(high[None], cuts[1:, None])
    width = np.maximum(right - left, 0)
    part = width / np.maximum(high - low, 1e-300)[None] * counts[None, 1:]
    narrow = high <= low  # all its values are one number, the largest
    at = np.clip(np.ceil(low[narrow] / max(largest, 1e-300) * N_BANDS) - 1, 0, N_BANDS - 1)
    part[:, narrow] = np.eye(N_BANDS)[:, at.astype(int)] * counts[1:][narrow]
    numbers, sums = part.sum(1), (part * (left + right) / 2).sum(1)
    return numbers / max(numbers.sum(), 1e-300), sums / max(sums.sum(), 1e-300)


def linear(state: State, unit: int, n_bins: int) -> tuple[np.ndarray, np.ndarray]:
    """(edges [bin + 1], counts [bin]) of one unit on a linear scale from smallest to largest."""
    counts = state.histogram[unit].cpu().numpy().astype(float)
    ends = float(state.smallest[unit]), float(state.largest[unit])
    near, far = (bound.numpy()[1:] for bound in _bounds(torch.device("cpu")))
    low = np.clip(np.concatenate([-far[::-1], [-near[0]], near]), *ends)
    high = np.clip(np.concatenate([-near[::-1], [near[0]], far]), *ends)
    cuts = np.linspace(*ends, n_bins + 1)
    shared = np.minimum(high[None], cuts[1:, None]) - np.maximum(low[None], cuts[:-1, None])
    part = np.maximum(shared, 0) / np.maximum(high - low, 1e-300)[None]
    narrow = high - low <= 0  # all its values are one number
    at = np.clip(np.searchsorted(cuts, low[narrow], side="right") - 1, 0, n_bins - 1)
    part[:, narrow] = np.eye(n_bins)[:, at]
    return cuts, (part * counts[None]).sum(1)
