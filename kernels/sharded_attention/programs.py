"""The Triton program of `kernels.sharded_attention.triton`. Importing this imports triton, so
that nobody does but `run` there, when it is first called.

How a score is made, and the first five arguments, are those of `kernels.head_stats.programs`.
"""

from typing import Any

import triton
import triton.language as tl

from kernels.head_stats.programs import tile

_jit: Any = triton.jit  # annotations below are quoted: Triton reads them and knows no Any


def _attend(
    q: "Any",
    k: "Any",
    mask: "Any",
    bias: "Any",
    rule: "Any",
    v: "Any",
    order: "Any",
    count: "Any",
    z: "Any",
    HOW: tl.constexpr,
    WIDTH: tl.constexpr,
    OUT: tl.constexpr,
    QUERIES: tl.constexpr,
    KEYS: tl.constexpr,
) -> None:
    """Some queries of one block over the listed blocks of keys, with a running softmax.

    v      (pointer, steps over row, head, token, width; width)
    order  (pointer, step over rows, places of a list, blocks, tokens of a block); the last `count`
           places of each list [row or 1, head, query block] hold visible blocks
    z      [row, token, head, width]
    """
    row = (tl.program_id(0) // rule[3]).to(tl.int64)
    head = (tl.program_id(0) % rule[3]).to(tl.int64)
    block = order[4]
    parts = (block + QUERIES - 1) // QUERIES
    own = tl.program_id(1) // parts
    query = own * block + tl.program_id(1) % parts * QUERIES + tl.arange(0, QUERIES)
    ok = (query < (own + 1) * block) & (query < rule[5])
    width = tl.arange(0, OUT)
    most = tl.full([QUERIES], -1e30, tl.float32)
    total = tl.zeros([QUERIES], tl.float32)
    found = tl.zeros([QUERIES, OUT], tl.float32)
    which = row * order[1] + head * order[3] + own
    listed = tl.load(count + which)
    for place in range(order[2] - listed, order[2]):
        first = tl.load(order[0] + which * order[2] + place) * block
        for begin in range(0, block, KEYS):
            key = first + begin + tl.arange(0, KEYS)
            inside = (key < first + block) & (key < rule[5])
            score, seen = tile(q, k, row, head, query, key, mask, bias, rule, HOW, WIDTH)
            seen = seen & inside[None, :]
            score = tl.where(seen, score, -1e30)
            higher = tl.maximum(most, tl.max(score, 1))
            shrink = tl.exp(most - higher)
            weight = tl.where(seen, tl.exp(score - higher[:, None]), 0.0)
            at = row * v[1] + head // rule[4] * v[2] + key[:, None] * v[3] + width[None, :] * v[4]
            there = inside[:, None] & (width < v[5])[None, :]
            held = tl.load(v[0] + at, mask=there, other=0.0)
            total = total * shrink + tl.sum(weight, 1)
            found = found * shrink[:, None]
            found += tl.dot(weight.to(held.dtype), held, input_precision="ieee")
            most = higher
    found = found / tl.where(total > 0, total, 1.0)[:, None]
    at = ((row * rule[5] + query[:, None]) * rule[3] + head) * v[5] + width[None, :]
    tl.store(z + at, found.to(z.dtype.element_ty), mask=ok[:, None] & (width < v[5])[None, :])


attend = _jit(_attend)
