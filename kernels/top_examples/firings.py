"""Statistics of units that are mostly silent, from the entries of sparse codes alone.

Nothing of size [context, token, unit] is made. A table [unit, context] of some contexts at a time
collects the peaks; everything else is as long as the list of entries.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from kernels.feature_topk.codes import Codes
from kernels.top_examples.keys import mix, octaves, of_contexts, of_units, ordered
from kernels.top_examples.state import BINS, EMPTY, PARTS, PER_BIN, RING, Slots, State

TABLE = 16_000_000  # pairs of unit and context looked at together, 128 MB
_LAST = (1 << 31) - 1
_POSITIONS = -3_335_678_366_873_096_957  # odd
_LARGEST = torch.iinfo(torch.int64).max
_VACANT = {"key": EMPTY, "value": float("nan"), "context": -1, "position": -1}
_TIES = (1 << 20) - 1  # bits of a float64 that give way to a hash, so that no two keys are equal


@dataclass(frozen=True)
class Peaks:
    """The largest activation of a unit in a context, for every pair in which it fires.

    unit [pair] int64, context [pair] int64, position [pair] int64 (the first of the largest),
    value [pair] float32; by unit, then by context, within every group of contexts.
    """

    unit: Tensor
    context: Tensor
    position: Tensor
    value: Tensor


@dataclass(frozen=True)
class _Entries:
    """The entries that count, each with its place in the text."""

    unit: Tensor  # [entry] int64
    value: Tensor  # [entry] float32
    row: Tensor  # [entry] place of its context among `contexts`
    position: Tensor  # [entry] int64
    contexts: Tensor  # [row] the numbers of the contexts, ascending
    n_tokens: int

    @property
    def context(self) -> Tensor:
        return self.contexts[self.row]


def take(
    state: State, codes: Codes, context: Tensor, position: Tensor, keep: Tensor | None
) -> Peaks:
    """See `kernels.top_examples.update_codes`."""
    entries = _entries(codes, context, position, keep)
    peaks = _peaks(entries, state.n_units)
    if entries.n_tokens:
        _count(state, entries, peaks)
        _offer_peaks(state, peaks)
        _offer_firings(state, entries)
    return peaks


def _entries(codes: Codes, context: Tensor, position: Tensor, keep: Tensor | None) -> _Entries:
    token, unit, value = codes.token, codes.feature, codes.value
    if keep is not None and not bool(keep.all()):
        there = keep[token]
        token, unit, value = token[there], unit[there], value[there]
        contexts, kept = context[keep].unique(), int(keep.sum())  # type: ignore[no-untyped-call]
    else:
        contexts, kept = context.unique(), len(context)  # type: ignore[no-untyped-call]
    row = torch.searchsorted(contexts, context)[token]
    return _Entries(unit.long(), value.float(), row, position[token], contexts, kept)


def _peaks(entries: _Entries, n_units: int) -> Peaks:
    """One table [unit, row] of the largest (value, earliest position), some rows at a time."""
    packed = (entries.value.view(torch.int32).long() << 32) | (_LAST - entries.position)
    n_rows, size = len(entries.contexts), max(1, TABLE // max(1, n_units))
    found = []
    for start in range(0, max(1, n_rows), size):
        rows = min(size, n_rows - start)
        unit, row, key = entries.unit, entries.row, packed
        if rows < n_rows:
            here = (row >= start) & (row < start + rows)
            unit, row, key = unit[here], row[here] - start, key[here]
        table = torch.zeros(n_units * rows, dtype=torch.int64, device=key.device)
        table.scatter_reduce_(0, unit * rows + row, key, "amax")
        pair = table.nonzero()[:, 0]
        best = table[pair]
        unit = torch.div(pair, max(1, rows), rounding_mode="floor")
        context = entries.contexts[start + pair - unit * rows]
        value = (best >> 32).int().view(torch.float32)
        found.append((unit, context, _LAST - (best & _LAST), value))
    return Peaks(*(torch.cat(each) for each in zip(*found, strict=True)))


def _count(state: State, entries: _Entries, peaks: Peaks) -> None:
    """Moments, ends and histogram; tokens without an entry are zeros."""
    unit, value, n_units = entries.unit, entries.value, state.n_units
    state.n_tokens += entries.n_tokens
    state.n_contexts += len(entries.contexts)
    weights = value.double()
    state.total += torch.bincount(unit, weights, n_units)
    state.squares += torch.bincount(unit, weights * weights, n_units)
    fired = torch.bincount(unit, minlength=n_units)
    largest = value.new_zeros(n_units).scatter_reduce_(0, peaks.unit, peaks.value, "amax")
    torch.maximum(state.largest, largest, out=state.largest)
    smallest = value.new_full((n_units,), torch.inf).scatter_reduce_(0, unit, value, "amin")
    smallest[fired < entries.n_tokens] = 0.0
    torch.minimum(state.smallest, smallest, out=state.smallest)
    place = octaves(value.view(torch.int32)) + BINS + unit * (2 * BINS + 1)
    ones = torch.ones_like(place, dtype=torch.int32)
    state.histogram.view(-1).scatter_add_(0, place, ones)
    state.histogram[:, BINS] += (entries.n_tokens - fired).int()


def _offer_peaks(state: State, peaks: Peaks) -> None:
    """Keys are those of the reference, so that the lists are the same."""
    key = (ordered(peaks.value).long() << 32) + ((1 << 32) - 1 - peaks.context)
    offer(state.lists["high"], key, peaks)
    mixed = mix(of_units(state)[peaks.unit] ^ of_contexts(peaks.context))
    octave = octaves(peaks.value.view(torch.int32)).long()
    key = torch.where(octave > 0, (octave << 52) | (mixed & ((1 << 52) - 1)), EMPTY)
    place = (octave % RING) * PER_BIN + (mixed >> 53) % PER_BIN
    _place(state.lists["high_bands"], place, key, peaks)


def _offer_firings(state: State, entries: _Entries) -> None:
    places = of_contexts(entries.contexts)[entries.row] + entries.position * _POSITIONS
    uniform = mix(of_units(state)[entries.unit] ^ mix(places))
    offer(state.lists["firing"], uniform & _LARGEST, entries)
    again = mix(uniform)
    share = ((again & 0xFFFFFFFF) + 0.5).double() / 2**32
    # -log(u) / value as a float64, whose bits are in its order; rounded to float32 before, so
    # that the last digit of a logarithm decides nothing.
    waited = share.log().neg().float().double() / entries.value.double()
    bits = waited.view(torch.int64) & ~_TIES | (again >> 32) & _TIES
    offer(state.lists["importance"], _LARGEST - bits, entries)


def offer(slots: Slots, key: Tensor, entries: Any) -> None:
    """Merge entries into lists that are kept in order of falling keys."""
    k = slots.key.shape[1]
    if not k:
        return
    good = (key > slots.key[:, -1][entries.unit]).nonzero()[:, 0]
    best, rank = _first_of_each(entries.unit[good], key[good], k)
    good = good[best]
    units, at = entries.unit[good].unique_consecutive(return_inverse=True)
    new = {
        "key": key[good],
        "value": entries.value[good],
        "context": entries.context[good].int(),
        "position": entries.position[good].int(),
    }
    both = {}
    for name in PARTS:
        old = getattr(slots, name)
        more = old.new_full((len(units), k), _VACANT[name])
        more[at, rank] = new[name]
        both[name] = torch.cat([old[units], more], 1)
    chosen = both["key"].topk(k, dim=1).indices
    for name in PARTS:
        getattr(slots, name)[units] = both[name].gather(1, chosen)


def _first_of_each(unit: Tensor, key: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Up to k entries of largest key of every unit: which, by unit, and each one's rank."""
    order = key.argsort(descending=True)
    order = order[unit[order].argsort(stable=True)]
    unit = unit[order]
    _, counts = unit.unique_consecutive(return_counts=True)  # type: ignore[no-untyped-call]
    start = torch.repeat_interleave(counts.cumsum(0) - counts, counts)
    rank = torch.arange(len(unit), device=unit.device) - start
    kept = rank < k
    return order[kept], rank[kept]


def _place(slots: Slots, place: Tensor, key: Tensor, peaks: Peaks) -> None:
    """Put what has the largest key of its place there."""
    at = peaks.unit * slots.key.shape[1] + place
    keys = slots.key.view(-1)
    before = keys[at]
    keys.scatter_reduce_(0, at, key, "amax")
    won = ((keys[at] == key) & (key > before)).nonzero()[:, 0]
    at = at[won]
    slots.value.view(-1)[at] = peaks.value[won]
    slots.context.view(-1)[at] = peaks.context[won].int()
    slots.position.view(-1)[at] = peaks.position[won].int()
