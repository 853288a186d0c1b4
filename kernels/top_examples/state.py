"""What is kept of the text for every unit, and how two such states become one."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

# Histogram: the magnitude in quarter octaves, that is by the first two bits of the mantissa. Bin 0
# is everything below 2**-14, the last bin is open above.
LOWEST, OCTAVES, PER_OCTAVE = -14, 30, 4
BINS = OCTAVES * PER_OCTAVE  # of each sign
RING = 16  # quarter octaves below a unit's peak from which contexts are kept
PER_BIN = 2  # contexts kept of each
EMPTY = torch.iinfo(torch.int64).min


@dataclass
class Slots:
    """The best entry of each place, best meaning largest key; `key` EMPTY where there is none.

    key [unit, slot] int64, value [unit, slot] activation units, context and position int32.
    """

    key: Tensor
    value: Tensor
    context: Tensor
    position: Tensor


@dataclass
class State:
    """Running statistics of one layer; counts and lists exact, sums float32 within a batch and
    float64 over batches.

    histogram [unit, 2 BINS + 1]: counts by sign and quarter octave, most negative first.
    lists: "high" and "low" by rank; "high_bands" and "low_bands" (a ring of quarter octaves:
    place = octave mod RING, the higher octave wins); "sample". "low" only for signed units.
    Units that are mostly silent have no "sample", which would hold zeros: see `new_firing_state`.
    """

    seed: int
    n_tokens: int
    n_contexts: int
    total: Tensor  # [unit]
    squares: Tensor  # [unit]
    largest: Tensor  # [unit]
    smallest: Tensor  # [unit]
    histogram: Tensor
    lists: dict[str, Slots] = field(default_factory=dict)

    @property
    def n_units(self) -> int:
        return self.total.shape[0]

    @property
    def signed(self) -> bool:
        return "low" in self.lists

    @property
    def n_bytes(self) -> int:
        return sum(tensor.numel() * tensor.element_size() for tensor in self.tensors().values())

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor of the state by a name that can be a file's."""
        found = {name: getattr(self, name) for name in SUMS}
        for name, slots in self.lists.items():
            found |= {f"{name}.{part}": getattr(slots, part) for part in PARTS}
        return found

    def arrays(self) -> dict[str, np.ndarray]:
        """The state as numpy arrays; `opened` reads them back."""
        numbers = np.array([self.seed, self.n_tokens, self.n_contexts], dtype=np.int64)
        tensors = {name: tensor.cpu().numpy() for name, tensor in self.tensors().items()}
        return {"numbers": numbers, **tensors}

    @property
    def of_firings(self) -> bool:
        """Only values above zero are entries of its lists."""
        return "firing" in self.lists


RANKED = ("high", "low", "firing", "importance")  # in order of their keys; the others by place
SUMS = ("total", "squares", "largest", "smallest", "histogram")
PARTS = ("key", "value", "context", "position")


def new_state(
    n_units: int,
    *,
    k: int = 20,
    n_samples: int = 16,
    signed: bool = True,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> State:
    """A state that has seen nothing: k contexts per list, n_samples tokens drawn evenly."""
    bands = RING * PER_BIN
    sizes = {"high": k, "high_bands": bands, "sample": n_samples}
    if signed:
        sizes |= {"low": k, "low_bands": bands}
    return _new(n_units, sizes, seed, device)


def new_firing_state(
    n_units: int,
    *,
    k: int = 64,
    n_firing: int = 32,
    n_importance: int = 16,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> State:
    """A state of units that are never negative and mostly zero, for `update_codes`.

    Its lists hold firings (values above zero) only: "high" the k contexts of largest value,
    "high_bands" as in `new_state`, "firing" n_firing firings drawn evenly among all, "importance"
    n_importance firings drawn with chances in proportion to their value.
    """
    sizes = {
        "high": k,
        "high_bands": RING * PER_BIN,
        "firing": n_firing,
        "importance": n_importance,
    }
    return _new(n_units, sizes, seed, device)


def _new(n_units: int, sizes: Mapping[str, int], seed: int, device: torch.device | str) -> State:
    return State(
        seed,
        n_tokens=0,
        n_contexts=0,
        total=torch.zeros(n_units, dtype=torch.float64, device=device),
        squares=torch.zeros(n_units, dtype=torch.float64, device=device),
        largest=torch.full((n_units,), -torch.inf, device=device),
        smallest=torch.full((n_units,), torch.inf, device=device),
        histogram=torch.zeros(n_units, 2 * BINS + 1, dtype=torch.int32, device=device),
        lists={name: _empty(n_units, size, device) for name, size in sizes.items()},
    )


def _empty(n_units: int, size: int, device: torch.device | str) -> Slots:
    def full(value: int | float, dtype: torch.dtype) -> Tensor:
        return torch.full((n_units, size), value, dtype=dtype, device=device)

    return Slots(
        full(EMPTY, torch.int64),
        full(float("nan"), torch.float32),
        full(-1, torch.int32),
        full(-1, torch.int32),
    )


def opened(arrays: Mapping[str, np.ndarray], device: torch.device | str = "cpu") -> State:
    """The state from what `arrays` gave."""
    tensors = {
        name: torch.from_numpy(np.array(array)).to(device)
        for name, array in arrays.items()
        if name != "numbers"
    }
    names = dict.fromkeys(name.partition(".")[0] for name in tensors if "." in name)
    lists = {name: Slots(*(tensors[f"{name}.{part}"] for part in PARTS)) for name in names}
    seed, n_tokens, n_contexts = (int(number) for number in arrays["numbers"])
    sums = {name: tensors[name] for name in SUMS}
    return State(seed, n_tokens, n_contexts, **sums, lists=lists)


def merge(one: State, other: State) -> State:
    """The state of both texts together; they share no context, their settings are the same."""
    alike = one.seed == other.seed and one.n_units == other.n_units
    if not alike or {n: s.key.shape for n, s in one.lists.items()} != {
        n: s.key.shape for n, s in other.lists.items()
    }:
        raise ValueError("these states were made with different settings")
    lists = {
        name: ranked(slots, other.lists[name])
        if name in RANKED
        else better(slots, other.lists[name])
        for name, slots in one.lists.items()
    }
    return State(
        one.seed,
        one.n_tokens + other.n_tokens,
        one.n_contexts + other.n_contexts,
        one.total + other.total,
        one.squares + other.squares,
        torch.maximum(one.largest, other.largest),
        torch.minimum(one.smallest, other.smallest),
        one.histogram + other.histogram,
        lists,
    )


def ranked(one: Slots, other: Slots) -> Slots:
    """The entries of largest key among both, in order, as many as `one` has places."""
    parts = {name: torch.cat([getattr(one, name), getattr(other, name)], 1) for name in PARTS}
    best = parts["key"].topk(one.key.shape[1], dim=1).indices
    return Slots(*(parts[name].gather(1, best) for name in PARTS))


def better(one: Slots, other: Slots) -> Slots:
    """Place by place the entry of larger key."""
    wins = other.key > one.key
    return Slots(*(torch.where(wins, getattr(other, n), getattr(one, n)) for n in PARTS))
