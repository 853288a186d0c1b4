"""The numbers by which entries are ranked and drawn: hashes, orders of values, quarter octaves."""

import torch
from torch import Tensor

from kernels.top_examples.state import BINS, LOWEST, PER_OCTAVE, State

_EXPONENT_BIAS = 127  # of float32
_KEPT_BITS = 21  # mantissa bits below a quarter octave
_FIRST = (LOWEST + _EXPONENT_BIAS) * PER_OCTAVE - 1  # quarter octave that is bin 0
_UNITS, _CONTEXTS = -7_046_029_254_386_353_131, -4_265_267_296_055_464_877  # odd, to spread numbers


def octaves(bits: Tensor) -> Tensor:
    """Quarter octave of the magnitude of float32 bits: 0 below the first, at most BINS."""
    place = (bits & 0x7FFFFFFF) >> _KEPT_BITS
    return place.clamp_(_FIRST, _FIRST + BINS).sub_(_FIRST)


def ordered(values: Tensor) -> Tensor:
    """int32 in the order of the float32 values."""
    bits = values.view(torch.int32)
    return bits ^ ((bits >> 31) & 0x7FFFFFFF)


def of_units(state: State) -> Tensor:
    """A number for every (seed, unit), [unit] int64."""
    units = torch.arange(state.n_units, device=state.total.device)
    return mix(units * _UNITS + state.seed)


def of_contexts(contexts: Tensor) -> Tensor:
    """A number for every context, in the shape of `contexts`, int64."""
    return mix(contexts * _CONTEXTS + 1)


def mix(x: Tensor) -> Tensor:
    """The finaliser of splitmix64 (Steele, Lea, Flood 2014) on int64, which wraps as uint64."""
    x = (x ^ (x >> 30 & 0x3FFFFFFFF)) * -4_658_895_280_553_007_687
    x = (x ^ (x >> 27 & 0x1FFFFFFFFF)) * -7_723_592_293_110_705_685
    return x ^ (x >> 31 & 0x1FFFFFFFF)
