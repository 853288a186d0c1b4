"""A Triton program per token and piece of the width adds the rows of the token's entries.

Every row is read once per entry, in the precision it is kept in, and summed in float32.
"""

from functools import cache
from typing import Any

import torch
from torch import Tensor

from kernels.feature_topk.codes import Codes

WIDTH = 512  # numbers of a row a program adds; a power of two
WARPS = 4


def run(codes: Codes, weight: Tensor) -> Tensor:
    """See `kernels.feature_decode.decode`."""
    out = torch.empty(codes.n_tokens, weight.shape[1], device=weight.device)
    if out.numel():
        grid = (codes.n_tokens, -(-weight.shape[1] // WIDTH))
        given = (codes.start, codes.feature, codes.value, weight, out)
        _kernel()[grid](*given, weight.shape[1], weight.stride(), WIDTH, num_warps=WARPS)
    return out


@cache
def _kernel() -> Any:
    """The program. Triton is imported when this is first needed."""
    import triton
    import triton.language as tl

    def add(
        start_ptr: "Any",
        feature_ptr: "Any",
        value_ptr: "Any",
        weight_ptr: "Any",
        out_ptr: "Any",
        d_out: "Any",
        steps: "Any",
        WIDTH: tl.constexpr,
    ) -> None:
        """out [token, d_out] = sum of value x row over the entries start to next start."""
        token = tl.program_id(0).to(tl.int64)
        column = tl.program_id(1) * WIDTH + tl.arange(0, WIDTH)
        there = column < d_out
        total = tl.zeros((WIDTH,), dtype=tl.float32)
        first, last = tl.load(start_ptr + token), tl.load(start_ptr + token + 1)
        for entry in range(first, last):
            row = tl.load(feature_ptr + entry).to(tl.int64) * steps[0]
            held = tl.load(weight_ptr + row + column * steps[1], mask=there, other=0.0)
            total += tl.load(value_ptr + entry) * held.to(tl.float32)
        tl.store(out_ptr + token * d_out + column, total, mask=there)

    return triton.jit(add)
