"""The definition, in plain torch; it runs on every device.

On a processor a fused loop over the entries stands behind `embedding_bag`, which no other way of
torch comes near (benchmarks/README.md).
"""

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from kernels.feature_topk.codes import Codes

ENTRIES = 16_384  # rows of half precision held in float32 at once


def run(codes: Codes, weight: Tensor) -> Tensor:
    """See `kernels.feature_decode.decode`."""
    if weight.dtype == torch.float32:
        return _bags(codes.feature, codes.value, codes.start, weight)
    # Half precision would round the values before they are summed, and the largest would overflow.
    out = torch.empty(codes.n_tokens, weight.shape[1], device=weight.device)
    for first, last in _groups(codes.start):
        start = codes.start[first : last + 1] - codes.start[first]
        own = slice(int(codes.start[first]), int(codes.start[last]))
        feature, value = codes.feature[own], codes.value[own]
        rows = weight.index_select(0, feature).float()
        one_by_one = torch.arange(len(feature), dtype=feature.dtype, device=feature.device)
        out[first:last] = _bags(one_by_one, value, start, rows)
    return out


def _bags(feature: Tensor, value: Tensor, start: Tensor, weight: Tensor) -> Tensor:
    start = start[:-1].to(feature.dtype)
    return embedding_bag(feature, weight, start, mode="sum", per_sample_weights=value)


def _groups(start: Tensor) -> list[tuple[int, int]]:
    """Tokens first to last (excluded) of groups with up to ENTRIES entries, or of one token."""
    found, first, ends = [], 0, start.tolist()
    while first < len(ends) - 1:
        last = int(torch.searchsorted(start, ends[first] + ENTRIES, right=True)) - 1
        last = max(last, first + 1)
        found.append((first, last))
        first = last
    return found
