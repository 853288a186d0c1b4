"""Attention in which a head sees only some blocks of the text, its shard.

After "Efficient LLM Training and Serving with Heterogeneous Context Sharding among Attention Heads"
(S2-Attention, 2024): a few blocks behind the query, and every stride-th of the rest, shifted from
head to head, so that together the heads see everything.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kernels.dispatch import implementation


@dataclass(frozen=True)
class Rule:
    """What else the scores of a model's attention are made of.

    scaling times query . key, then the cap, then `bias` [1, head, query, key] and `mask` (bool:
    what is seen; else added), [row or 1, 1 or head, query, key]. With a mask or without, a query
    sees keys up to its own place alone.
    """

    scaling: float
    cap: float | None = None
    mask: Tensor | None = None
    bias: Tensor | None = None


class Sharded(NamedTuple):
    """z [row, query, head, d_head] in the type of the values; `kept` [row, head, query] in float32:
    the share of ordinary attention that goes to what is still seen, 0 to 1, None unasked."""

    z: Tensor
    kept: Tensor | None


def shards(
    n_blocks: int, n_heads: int, local: int, stride: int, offset: int = 0
) -> Bool[Tensor, "head query_block key_block"]:
    """Which blocks of keys each head sees from each block of queries.

    Block j from block i if j <= i and (i - j < local or (j + head · step + offset) mod stride is
    0), step = max(1, stride // heads).
    """
    i, j = torch.arange(n_blocks)[:, None], torch.arange(n_blocks)[None]
    step = max(1, stride // n_heads)
    shift = torch.arange(n_heads)[:, None, None] * step + offset
    return (j <= i) & ((i - j < local) | ((j + shift) % stride == 0))


def sharded_attention(
    query: Float[Tensor, "row head token d_head"],
    key: Float[Tensor, "row kv_head token d_head"],
    value: Float[Tensor, "row kv_head token d_head"],
    visible: Bool[Tensor, "row_or_1 head query_block key_block"],
    block: int,
    rule: Rule,
    share: bool = False,
) -> Sharded:
    """Self-attention restricted to visible blocks of `block` tokens, causal.

    query, key  as the attention function gets them: after rotary embedding and norms; query heads
                share keys in order
    visible     a query's own block has to be visible to it, so that no query sees nothing
    share       also say how much of ordinary attention is kept: that takes every score, so that no
                block can be skipped, and the definition itself runs

    Scores and softmax in float32; memory is linear in the number of tokens.
    """
    _agree(query, key, value, visible, block)
    visible = visible.to(query.device)
    if share:
        from kernels.sharded_attention import reference

        with torch.no_grad():
            return reference.run(query, key, value, visible, block, rule, share=True)
    run, _ = implementation("sharded_attention", query.device.type)
    with torch.no_grad():
        found: Sharded = run(query, key, value, visible, block, rule)
    return found


def _agree(query: Tensor, key: Tensor, value: Tensor, visible: Tensor, block: int) -> None:
    rows, heads, tokens, _ = query.shape
    if heads % key.shape[1]:
        raise ValueError(f"{heads} query heads cannot share {key.shape[1]} key heads")
    if key.shape[2] != tokens or value.shape[:3] != key.shape[:3]:
        raise ValueError(f"self-attention has {tokens} keys and values, not {key.shape[2]}")
    n_blocks = -(-tokens // block)
    wanted = (heads, n_blocks, n_blocks)
    if tuple(visible.shape[1:]) != wanted or len(visible) not in (1, rows):
        raise ValueError(f"{tokens} tokens in blocks of {block} need blocks {wanted} per row")
    if not visible.diagonal(dim1=-2, dim2=-1).all():
        raise ValueError("a block of queries has to see itself")
