"""Only the blocks that a head sees: gathered for some blocks of queries at a time, in plain torch.

What lies in a block that is not visible is never read. Query blocks follow each other in a chunk,
so that all of them see about as many blocks and few places are filled up.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from kernels.sharded_attention import Rule, Sharded
from kernels.sharded_attention.reference import LOW

AT_ONCE = {"cpu": 2**18, "cuda": 2**27}  # scores in hand: 1 MB stays in a processor's cache


class Lists(NamedTuple):
    """Visible key blocks of each query block, in order, the own one last.

    order [row or 1, head, query block, place], filled up in front with the own block; there: the
    same, False where it was filled up
    """

    order: Tensor
    there: Tensor


def lists(visible: Tensor) -> Lists:
    """The visible blocks [row or 1, head, query block, key block] as lists."""
    n = visible.shape[-1]
    count = visible.sum(-1, keepdim=True)
    most = int(count.max())
    # Visible ones behind the others, in order: a stable sort keeps theirs.
    last = visible.to(torch.uint8).sort(dim=-1, stable=True).indices[..., n - most :]
    there = torch.arange(most, device=visible.device) >= most - count
    own = torch.arange(n, device=visible.device)[:, None]
    return Lists(torch.where(there, last, own), there)


def run(
    query: Tensor, key: Tensor, value: Tensor, visible: Tensor, block: int, rule: Rule
) -> Sharded:
    """See `kernels.sharded_attention.sharded_attention`; without shares."""
    rows, heads, tokens, _ = query.shape
    shown = lists(visible.tril())
    blocks, most = shown.order.shape[2:]
    keys, values = (_cut(part, blocks, block) for part in (key, value))
    queries = _cut(query, blocks, block)
    z = query.new_empty(rows, blocks * block, heads, value.shape[-1], dtype=value.dtype)
    counts = shown.there.sum(-1).amax((0, 1)).tolist()  # by query block
    held = AT_ONCE.get(query.device.type, AT_ONCE["cpu"])
    start = 0
    while start < blocks:
        each = rows * heads * block * block
        stop = start + 1
        while stop < blocks and (stop + 1 - start) * each * max(counts[start : stop + 1]) <= held:
            stop += 1
        n = max(counts[start:stop])
        part = Lists(*(whole[:, :, start:stop, most - n :] for whole in shown))
        made = _chunk(queries, keys, values, part, slice(start, stop), rule, tokens)
        z[:, start * block : stop * block] = made
        start = stop
    return Sharded(z[:, :tokens], None)


def _cut(whole: Tensor, blocks: int, block: int) -> Tensor:
    """[row, head, block, token, width], zeros behind the end."""
    missing = blocks * block - whole.shape[2]
    if missing:
        whole = torch.nn.functional.pad(whole, (0, 0, 0, missing))
    return whole.reshape(*whole.shape[:2], blocks, block, -1)


def _chunk(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    shown: Lists,
    which: slice,
    rule: Rule,
    tokens: int,
) -> Tensor:
    """z [row, token, head, width] of some blocks of queries."""
    _, heads, _, block, _ = queries.shape
    query = queries[:, :, which].float() * rule.scaling
    score = query @ _taken(keys, shown.order, heads).transpose(-1, -2)
    if rule.cap is not None:
        score = torch.tanh_(score.div_(rule.cap)).mul_(rule.cap)
    tiles = score.view(*score.shape[:-1], -1, block)  # [row, head, query block, query, place, key]
    if not bool(shown.there.all()):
        tiles.masked_fill_(~shown.there[:, :, :, None, :, None], LOW)
    # Added, since filling where a mask says so takes as long as a product.
    tiles[..., -1, :] += torch.full((block, block), LOW, device=score.device).triu(1)
    if rule.mask is not None or rule.bias is not None:
        _masked(tiles, shown, which, rule, tokens)
    z = torch.softmax(score, dim=-1) @ _taken(values, shown.order, heads)
    return z.flatten(2, 3).transpose(1, 2)


def _taken(whole: Tensor, order: Tensor, heads: int) -> Tensor:
    """The blocks of each list one after the other, [row, head, query block, key, width]."""
    rows, shared, blocks, block, width = whole.shape
    row = torch.arange(rows, device=whole.device)[:, None, None, None]
    head = torch.arange(heads, device=whole.device)[:, None, None] // (heads // shared)
    places = ((row * shared + head) * blocks + order).flatten()
    flat = whole.reshape(rows * shared * blocks, block * width)
    taken = flat.index_select(0, places).float()
    return taken.view(rows, heads, order.shape[2], order.shape[3] * block, width)


def _masked(tiles: Tensor, shown: Lists, which: slice, rule: Rule, tokens: int) -> None:
    """Position biases and the model's own mask, gathered for the keys of each list, in place."""
    block = tiles.shape[-1]
    inside = torch.arange(block, device=tiles.device)
    query = (torch.arange(which.start, which.stop, device=tiles.device)[:, None] * block) + inside
    key = shown.order[..., None] * block + inside  # [row or 1, head, query block, place, key]
    ahead = (key >= tokens)[:, :, :, None]
    key, query = key.clamp_max(tokens - 1), query.clamp_max(tokens - 1)
    for added, given in ((True, rule.bias), (False, rule.mask)):
        if given is None:
            continue
        row = torch.arange(len(given), device=tiles.device)[:, None, None, None, None, None]
        head = torch.arange(given.shape[1], device=tiles.device)[:, None, None, None, None]
        part = given[row, head, query[:, :, None, None], key[:, :, :, None]]
        if part.dtype == torch.bool:
            tiles.masked_fill_(~part, LOW)
        else:
            tiles += part.float()
            if not added:
                tiles.clamp_min_(LOW)
    tiles.masked_fill_(ahead, LOW)
