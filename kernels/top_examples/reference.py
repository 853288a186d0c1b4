"""The definition, in plain torch; it runs on every device."""

import math

import torch
from torch import Tensor

from kernels.top_examples.keys import mix, octaves, of_contexts, of_units, ordered
from kernels.top_examples.state import BINS, EMPTY, PER_BIN, RING, Slots, State

_SIDES = {"high": 1.0, "low": -1.0}
_SHARES = 1 << 16
_SCALE = 1 << 27  # 12 x this fits 31 bits


def run(state: State, values: Tensor, keep: Tensor, contexts: Tensor) -> None:
    some = keep.any(dim=1)
    if not bool(some.all()):
        values, keep, contexts = values[some], keep[some], contexts[some]
    if not len(contexts):
        return
    values = values.float()
    _count(state, values, keep)
    hole = torch.where(keep, 0.0, -torch.inf)[..., None]
    mixed = _hashed(state, contexts)
    for side, sign in _SIDES.items():
        if side in state.lists:
            raised = values + hole if sign > 0 else hole - values
            _offer_peaks(state, side, raised, contexts.int(), mixed)
    _offer_tokens(state, values, keep, contexts.int(), mixed)


def _count(state: State, values: Tensor, keep: Tensor) -> None:
    """Moments, ends and histogram over the tokens that count."""
    kept = values.reshape(-1, values.shape[-1]).index_select(0, keep.flatten().nonzero()[:, 0])
    state.n_tokens += len(kept)
    state.n_contexts += len(keep)
    state.total += kept.sum(0)
    state.squares += (kept * kept).sum(0)
    torch.maximum(state.largest, kept.amax(0), out=state.largest)
    torch.minimum(state.smallest, kept.amin(0), out=state.smallest)
    state.histogram += histogram(kept)


def histogram(kept: Tensor) -> Tensor:
    """Counts [unit, 2 BINS + 1] of values [token, unit] by sign and quarter octave, int32."""
    units, width = kept.shape[1], 2 * BINS + 1
    # Unit by unit: neighbouring additions to one place of memory cost a tenth of scattered ones.
    bits = kept.T.contiguous().view(torch.int32)
    sign = bits >> 31  # 0 or -1
    place = octaves(bits)
    place.bitwise_xor_(sign).sub_(sign)  # the number's sign on the octave
    place.add_(torch.arange(units, dtype=torch.int32, device=kept.device)[:, None] * width + BINS)
    return torch.bincount(place.view(-1), minlength=units * width).view(units, width).int()


def _offer_peaks(state: State, side: str, raised: Tensor, contexts: Tensor, mixed: Tensor) -> None:
    """Every context's largest value, to the list by rank and to the quarter octaves.

    raised [context, token, unit], -inf where a token does not count.
    """
    peaks = raised.amax(dim=1).T.contiguous() + 0.0  # [unit, context]; -0 becomes 0
    entries = (peaks, contexts, raised)
    state.lists[side] = _ranked(state.lists[side], *entries)
    octave = octaves(peaks.view(torch.int32)).long()
    key = torch.where((peaks > 0) & (octave > 0), (octave << 52) | (mixed & ((1 << 52) - 1)), EMPTY)
    place = (octave % RING) * PER_BIN + (mixed >> 53) % PER_BIN
    _take(state.lists[f"{side}_bands"], place, key, *entries)


def _ranked(slots: Slots, peaks: Tensor, contexts: Tensor, raised: Tensor) -> Slots:
    """The list after the new peaks; equal values: the lower context first."""
    k = slots.key.shape[1]
    key = (ordered(peaks).long() << 32) + ((1 << 32) - 1 - contexts.long())
    keys, best = torch.cat([slots.key, key], dim=1).topk(k, dim=1)
    value = torch.cat([slots.value, peaks], dim=1).gather(1, best)
    context = torch.cat([slots.context, contexts.expand_as(key)], dim=1).gather(1, best)
    new = best >= k
    position = slots.position.gather(1, best.clamp_max(k - 1))
    unit, rank = new.nonzero(as_tuple=True)
    position[unit, rank] = _first_largest(raised, best[unit, rank] - k, unit)
    return Slots(keys, value, context, position)


def _take(
    slots: Slots, place: Tensor, key: Tensor, peaks: Tensor, contexts: Tensor, raised: Tensor
) -> None:
    """Put what has the largest key of its place there; all but slots: [unit, context]."""
    unit, row = _winners(slots, place, key)
    at = place[unit, row]
    slots.value[unit, at] = peaks[unit, row]
    slots.context[unit, at] = contexts[row]
    slots.position[unit, at] = _first_largest(raised, row, unit)


def _winners(slots: Slots, place: Tensor, key: Tensor) -> tuple[Tensor, Tensor]:
    before = slots.key.gather(1, place)
    slots.key.scatter_reduce_(1, place, key, "amax")
    won = (slots.key.gather(1, place) == key) & (key > before)
    unit, row = won.nonzero(as_tuple=True)
    return unit, row


def _first_largest(raised: Tensor, row: Tensor, unit: Tensor) -> Tensor:
    """The first position of the largest value, for pairs of context and unit."""
    return raised.permute(0, 2, 1)[row, unit].argmax(dim=-1).int()


def _offer_tokens(
    state: State, values: Tensor, keep: Tensor, contexts: Tensor, mixed: Tensor
) -> None:
    """One token of every context, drawn evenly; a context's chance grows with its tokens.

    Each place of the sample keeps the entry of largest u ** (1 / tokens), u uniform (weighted
    sampling after Efraimidis and Spirakis, 2006), in whole numbers so that no rounding decides.
    """
    slots = state.lists["sample"]
    again = mix(mixed)
    counts = keep.sum(dim=1)
    share = _logarithms(values.device)[again & (_SHARES - 1)] // counts
    key = ((1 << 31) - 1 - share << 32) | (again >> 32 & 0xFFFFFFFF)
    place = (mixed >> 40 & 0xFFFFF) % slots.key.shape[1]
    unit, row = _winners(slots, place, key)
    drawn = (again[unit, row] >> 16 & 0xFFFFFF) % counts[row]
    kept_first = keep.int().argsort(dim=1, descending=True, stable=True)
    position = kept_first[row, drawn]
    at = place[unit, row]
    slots.value[unit, at] = values[row, position, unit]
    slots.context[unit, at] = contexts[row]
    slots.position[unit, at] = position.int()


def _logarithms(device: torch.device) -> Tensor:
    """-log of the shares (i + 1/2) / 2**16 as whole numbers below 2**31."""
    if device not in _tables:
        shares = [-math.log((i + 0.5) / _SHARES) * _SCALE for i in range(_SHARES)]
        _tables[device] = torch.tensor([round(share) for share in shares], device=device)
    return _tables[device]


_tables: dict[torch.device, Tensor] = {}


def _hashed(state: State, contexts: Tensor) -> Tensor:
    """A number for every (seed, unit, context), [unit, context] int64."""
    return mix(of_units(state)[:, None] ^ of_contexts(contexts)[None])
