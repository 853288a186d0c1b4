"""One program for some queries of a block: it walks the visible blocks of keys and no others.

Nothing of size [query, key] is written, and what lies in hidden blocks is never read.
"""

from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from kernels.head_stats import Scores
from kernels.head_stats.triton import rule_of
from kernels.sharded_attention import Rule, Sharded
from kernels.sharded_attention.blocks import lists

QUERIES, KEYS = 64, 64  # of a tile; powers of two, 16 or more
WARPS = 4


def run(
    query: Tensor, key: Tensor, value: Tensor, visible: Tensor, block: int, rule: Rule
) -> Sharded:
    """See `kernels.sharded_attention.sharded_attention`; without shares."""
    programs: Any = import_module("kernels.sharded_attention.programs")  # imports triton
    rows, heads, tokens, _ = query.shape
    width = value.shape[-1]
    shown = lists(visible.tril())
    blocks, most = shown.order.shape[2:]
    order = shown.order.to(torch.int32).contiguous()
    count = shown.there.sum(-1).to(torch.int32).contiguous()
    z = torch.empty(rows, tokens, heads, width, dtype=value.dtype, device=value.device)
    parts, how = rule_of(
        query, key, Scores(rule.scaling, cap=rule.cap, mask=rule.mask, bias=rule.bias)
    )
    step = heads * blocks if len(order) > 1 else 0
    programs.attend[rows * heads, blocks * -(-block // QUERIES)](
        *parts,
        (value, *value.stride(), width),
        (order, step, most, blocks, block),
        count,
        z,
        HOW=how,
        WIDTH=_tile(query.shape[-1]),
        OUT=_tile(width),
        QUERIES=QUERIES,
        KEYS=KEYS,
        num_warps=WARPS,
    )
    return Sharded(z, None)


def _tile(width: int) -> int:
    """A power of two that holds it; the least a product takes is 16."""
    return max(16, 1 << (width - 1).bit_length())
