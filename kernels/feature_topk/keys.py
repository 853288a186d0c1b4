"""An entry of codes as one number, whose order is that of codes: token, falling value, latent."""

import torch
from torch import Tensor
from torch.nn.functional import pad

from kernels.feature_topk.codes import Codes

_VALUE = 31  # bits of a float32 above zero
_LARGEST = (1 << _VALUE) - 1


def most_tokens(n_features: int) -> int:
    """How many tokens the numbers have room for."""
    return 1 << (63 - _VALUE - n_features.bit_length())


def packed(token: Tensor, feature: Tensor, value: Tensor, n_features: int) -> Tensor:
    """token and feature int64, value float32 above zero: [entry] int64."""
    falling = _LARGEST - value.view(torch.int32).long()
    return (((token << _VALUE) | falling) << n_features.bit_length()) | feature


def unpacked(keys: Tensor, n_tokens: int, n_features: int, k: int | None = None) -> Codes:
    """Codes of sorted keys; the first k of every token, None being all."""
    bits = n_features.bit_length()
    token = keys >> (_VALUE + bits)
    counts = torch.bincount(token, minlength=n_tokens)
    start = pad(counts.cumsum(0), (1, 0))
    if k is not None:
        rank = torch.arange(len(keys), device=keys.device) - start[token]
        keys = keys[rank < k]
        start = pad(counts.clamp_max(k).cumsum(0), (1, 0))
    value = (_LARGEST - (keys >> bits & _LARGEST)).int().view(torch.float32)
    return Codes(start, (keys & ((1 << bits) - 1)).int(), value, n_features)
