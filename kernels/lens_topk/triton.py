"""Products by the vendor's library, selection by a Triton program per direction and side.

A tile of scores small enough for the second-level cache is offered to the running lists of its
directions: the program reads the scores once, and takes from them only what beats the worst entry
of the list. After the first tokens that is little, so most tiles cost one read. Tokens come in
ascending order, so an equal score that comes later never displaces an earlier one.
"""

from functools import cache
from typing import Any

import torch
from torch import Tensor

from kernels.lens_topk.blocks import product
from kernels.lens_topk.moments import Powers

MAX_K = 64  # an entry is taken by a pass over the tile, so long lists are better sorted
ROWS = 2_048  # directions in hand
TOKENS = 8_192  # per product; with ROWS 67 MB of scores, about the second-level cache
CHUNK = 1_024  # tokens a program looks at together; a power of two
WARPS = 4

_LATER = 2**31 - 1  # above every token id


def run(
    directions: Tensor, words: Tensor, k: int, powers: Powers | None = None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """See `kernels.lens_topk.lens_topk`; every row of `words` counts, k up to `MAX_K`."""
    if k > MAX_K:
        raise ValueError(f"lens_topk:triton keeps up to {MAX_K} tokens, {k} were asked for")
    rows = min(ROWS, max(1, len(directions)))
    scratch = torch.empty(rows, min(TOKENS, len(words)), device=words.device)
    parts = []
    for at in range(0, max(1, len(directions)), rows):
        tile = slice(at, at + rows)
        parts.append(_tile(directions[tile], words, k, scratch, powers and powers.of(tile)))
    top, top_ids, bottom, bottom_ids = (torch.cat(each) for each in zip(*parts, strict=True))
    return top, top_ids, bottom, bottom_ids


def _tile(
    directions: Tensor, words: Tensor, k: int, scratch: Tensor, powers: Powers | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    n, tokens = len(directions), scratch.shape[1]
    values, ids = _empty_lists(n, k, words.device)
    scores = scratch[:n]
    for start, part in zip(range(0, len(words), tokens), torch.split(words, tokens), strict=True):
        product(directions, part, scores[:, : len(part)])
        if powers is not None:
            powers.add(scores[:, : len(part)])
        if n:
            offer_to = (scores, values, ids, start, len(part), tokens)
            _kernel()[(2, n)](*offer_to, CHUNK, values.shape[2], _LATER, num_warps=WARPS)
    top, top_ids = _in_order(values[0, :, :k], ids[0, :, :k])
    bottom, bottom_ids = _in_order(values[1, :, :k], ids[1, :, :k])
    return top, top_ids, bottom.neg(), bottom_ids


def _empty_lists(n: int, k: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Running lists [side, direction, slot]; the slots are a power of two, those from k on stay."""
    slots = 1 << (k - 1).bit_length()  # tl.arange takes powers of two
    values = torch.full((2, n, slots), -torch.inf, device=device)
    values[:, :, k:] = torch.inf
    ids = _LATER - torch.arange(slots, device=device, dtype=torch.int32)
    return values, ids.expand(2, n, slots).contiguous()


def _in_order(values: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
    """Highest first, the lower id first among equals."""
    ids, by_id = ids.long().sort(dim=1)
    values, by_value = values.gather(1, by_id).sort(dim=1, descending=True, stable=True)
    return values, ids.gather(1, by_value)


@cache
def _kernel() -> Any:
    """The program of one side of one direction. Triton is imported when this is first needed."""
    import triton
    import triton.language as tl

    def offer(
        scores_ptr: "Any",
        values_ptr: "Any",
        ids_ptr: "Any",
        start: "Any",
        n_tokens: "Any",
        row_length: "Any",
        CHUNK: tl.constexpr,
        SLOTS: tl.constexpr,
        NONE: tl.constexpr,
    ) -> None:
        """Scores [direction, row_length], the first n_tokens of each row, to the running lists
        [side, direction, SLOTS]. `start` is the token of the first column."""
        side = tl.program_id(0)
        row = tl.program_id(1).to(tl.int64)
        slots = (side * tl.num_programs(1) + row) * SLOTS + tl.arange(0, SLOTS)
        values, ids = tl.load(values_ptr + slots), tl.load(ids_ptr + slots)
        worst = tl.min(values, 0)
        for offset in range(0, n_tokens, CHUNK):
            column = offset + tl.arange(0, CHUNK)
            there = column < n_tokens
            scores = tl.load(scores_ptr + row * row_length + column, mask=there, other=0.0)
            # What is not a number goes to the head of both lists, where the caller finds it.
            known = scores == scores  # noqa: PLR0124
            scores = tl.where(known, tl.where(side == 0, scores, -scores), float("inf"))
            scores = tl.where(there, scores, float("-inf"))
            best = tl.max(scores, 0)
            while best > worst:
                place = tl.min(tl.where(scores == best, column, NONE), 0)
                last = tl.max(tl.where(values == worst, ids, -1), 0)
                leaves = (values == worst) & (ids == last)
                values = tl.where(leaves, best, values)
                ids = tl.where(leaves, start + place, ids)
                worst = tl.min(values, 0)
                scores = tl.where(column == place, float("-inf"), scores)
                best = tl.max(scores, 0)
        tl.store(values_ptr + slots, values)
        tl.store(ids_ptr + slots, ids)

    return triton.jit(offer)
