"""What is counted of every feature while the text goes by, and what it takes to go on from there.

After the one-pass statistics of SAEDashboard and sae_vis, which make a pass per group of
features.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from kernels.feature_topk import Codes
from kernels.top_examples import State, new_firing_state, update_codes
from kernels.top_examples.state import opened as opened_state

N_TOP = 32  # contexts of largest activation that a gallery keeps
SPARE = 32  # more of them in the pass, since some repeat each other
N_SAMPLE, N_WEIGHTED = 32, 16
BUCKETS = 16  # of the position in a context
HALVES = 2


@dataclass(frozen=True)
class Place:
    """Where the tokens of a batch stand, [token] int64 each; only tokens that count."""

    context: Tensor
    position: Tensor
    half: Tensor  # 0 or 1, of the token's document


@dataclass
class Tally:
    """Running statistics of F features: `state` as the kernel keeps it, and what else is counted.

    numbers: n_tokens [half], position_tokens [bucket], count and total [half, feature],
    by_position [feature, bucket], n_contexts [feature], input_total [d_in] and input_squares [1]
    (sums over what the dictionary reads), and random_* of random directions on some of the text.
    Counts and lists are exact, sums float64: nothing but their rounding depends on the order in
    which contexts came.
    """

    window: int
    state: State
    numbers: dict[str, Tensor]

    @property
    def n_features(self) -> int:
        return self.state.n_units

    def arrays(self) -> dict[str, np.ndarray]:
        """All of it as numpy arrays; `opened` reads them back."""
        found = {"window": np.array(self.window)}
        found |= {f"state/{name}": array for name, array in self.state.arrays().items()}
        return found | {name: tensor.cpu().numpy() for name, tensor in self.numbers.items()}


def new(
    n_features: int, d_in: int, window: int, *, seed: int = 0, device: torch.device | str = "cpu"
) -> Tally:
    """A tally that has seen nothing."""

    def zeros(*shape: int, dtype: torch.dtype = torch.int64) -> Tensor:
        return torch.zeros(*shape, dtype=dtype, device=device)

    double, int32 = torch.float64, torch.int32
    numbers = {
        "n_tokens": zeros(HALVES),
        "position_tokens": zeros(BUCKETS),
        "count": zeros(HALVES, n_features),
        "total": zeros(HALVES, n_features, dtype=double),
        "by_position": zeros(n_features, BUCKETS, dtype=int32),
        "n_contexts": zeros(n_features, dtype=int32),
        "input_total": zeros(d_in, dtype=double),
        "input_squares": zeros(1, dtype=double),
        "random_tokens": zeros(1),
        "random_count": zeros(n_features),
        "random_total": zeros(n_features, dtype=double),
        "random_largest": zeros(n_features, dtype=torch.float32),
    }
    state = new_firing_state(
        n_features,
        k=N_TOP + SPARE,
        n_firing=N_SAMPLE,
        n_importance=N_WEIGHTED,
        seed=seed,
        device=device,
    )
    return Tally(window, state, numbers)


def opened(arrays: Mapping[str, np.ndarray], device: torch.device | str = "cpu") -> Tally:
    """The tally from what `arrays` gave."""
    own = {
        name.removeprefix("state/"): array
        for name, array in arrays.items()
        if name.startswith("state/")
    }
    numbers = {
        name: torch.from_numpy(np.array(array)).to(device)
        for name, array in arrays.items()
        if "/" not in name and name != "window"
    }
    return Tally(arrays["window"].item(), opened_state(own, device), numbers)


def add(tally: Tally, codes: Codes, place: Place) -> None:
    """Take the codes of a batch of whole contexts; a context is given once in its life."""
    numbers, n = tally.numbers, tally.n_features
    peaks = update_codes(tally.state, codes, place.context, place.position)
    numbers["n_contexts"] += torch.bincount(peaks.unit, minlength=n).int()
    buckets = bucket(place.position, tally.window)
    numbers["n_tokens"] += torch.bincount(place.half, minlength=HALVES)
    numbers["position_tokens"] += torch.bincount(buckets, minlength=BUCKETS)
    token, feature = codes.token, codes.feature.long()
    at = place.half[token] * n + feature
    numbers["count"] += torch.bincount(at, minlength=HALVES * n).view(HALVES, n)
    total = torch.bincount(at, codes.value.double(), HALVES * n)
    numbers["total"] += total.view(HALVES, n)
    at = feature * BUCKETS + buckets[token]
    by_position = torch.bincount(at, minlength=BUCKETS * n).view(n, BUCKETS)
    numbers["by_position"] += by_position.int()


def add_inputs(tally: Tally, x: Tensor) -> None:
    """Sums of what the dictionary reads, x [token, d_in]; they give its variance."""
    x = x.float()
    tally.numbers["input_total"] += x.sum(0)
    tally.numbers["input_squares"] += x.square().sum(1).double().sum()


def add_random(tally: Tally, codes: Codes) -> None:
    """The codes that random directions give on some of the text."""
    numbers, feature = tally.numbers, codes.feature.long()
    numbers["random_tokens"] += codes.n_tokens
    numbers["random_count"] += torch.bincount(feature, minlength=tally.n_features)
    numbers["random_total"] += torch.bincount(feature, codes.value.double(), tally.n_features)
    numbers["random_largest"].scatter_reduce_(0, feature, codes.value, "amax")


def bucket(position: Tensor, window: int) -> Tensor:
    """Which of the equal parts of a window a position is in."""
    return torch.div(position * BUCKETS, max(1, window), rounding_mode="floor").clamp_max(
        BUCKETS - 1
    )
