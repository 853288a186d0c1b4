"""Two sweeps over keys in Triton: the normaliser of every query first, then what is summed.

Nothing of size [query, key] is ever written. The first sweep keeps a running softmax per query
and gives its logarithm, the entropy and the largest weight. The second goes by keys: attention is
made again, a tile at a time, and added up. Targets and distances need no tiles: with the
normaliser known, the weight of one (query, key) pair is one product of two vectors.
"""

from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from kernels.head_stats import Scores, Stats
from kernels.head_stats.targets import Targets

QUERIES, KEYS = 64, 64  # of a tile; powers of two, 16 or more
GROUPS = 16  # the least number of rows of a product; so many groups of queries at most
WARPS = 4


def run(
    query: Tensor, key: Tensor, scores: Scores, aims: Targets, groups: Tensor, reach: int
) -> Stats:
    """See `kernels.head_stats.head_stats`; up to `GROUPS` groups."""
    if len(groups) > GROUPS:
        raise ValueError(f"head_stats:triton takes up to {GROUPS} groups, not {len(groups)}")
    programs: Any = import_module("kernels.head_stats.programs")  # imports triton
    rows, heads, tokens, d_head = query.shape
    rule, how = rule_of(query, key, scores)
    n_groups, weights = len(groups), groups.contiguous().float()
    ahead = 0 if scores.causal else reach
    with torch.device(query.device):
        log_sum, entropy, top = (torch.empty(rows, heads, tokens) for _ in range(3))
        visible = torch.empty(rows, tokens)
        received = torch.empty(rows, n_groups, heads, tokens)
        parts = torch.empty(rows, n_groups, heads, -(-tokens // KEYS))
        lag = torch.empty(rows, n_groups, heads, reach + ahead + 1)
        slots = torch.empty(rows, 2, len(aims.kinds), heads)
    sizes = {
        "HOW": how,
        "WIDTH": max(16, 1 << (d_head - 1).bit_length()),  # the least a product takes
        "QUERIES": QUERIES,
        "num_warps": WARPS,
    }
    n = rows * heads
    grid = (n, -(-tokens // QUERIES))
    programs.sweep[grid](*rule, log_sum, entropy, top, visible, KEYS=KEYS, **sizes)
    gathered = (log_sum, visible, weights, n_groups, received, parts)
    programs.gather[n, parts.shape[-1]](*rule, *gathered, KEYS=KEYS, GROUPS=GROUPS, **sizes)
    if aims.kinds:
        lists = (aims.order, aims.first, aims.count, aims.start, aims.visible)
        aimed = (log_sum, *(each.contiguous() for each in lists), aims.step, slots)
        programs.aimed[n, 2 * len(aims.kinds)](*rule, *aimed, **sizes)
    apart = (log_sum, weights, n_groups, ahead, lag)
    programs.apart[n, lag.shape[-1]](*rule, *apart, GROUPS=GROUPS, **sizes)
    uneven = parts.sum(-1)
    return Stats(slots[:, 0], slots[:, 1], lag, received, uneven, entropy, top, visible)


def rule_of(query: Tensor, key: Tensor, scores: Scores) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """How a score is made, as every program takes it; see `programs`."""
    _, heads, tokens, d_head = query.shape
    mask, weigh = scores.mask, scores.key_bias
    kind, above = 0, 0.0
    if mask is not None:
        kind = 1 if mask.dtype == torch.bool else 2
        above = 0.5 if kind == 1 else torch.finfo(mask.dtype).min / 2
        mask = mask.view(torch.uint8) if kind == 1 else mask
    keys = query if weigh is None else weigh.contiguous()
    rule = (keys, scores.scaling, scores.cap or 0.0, heads, heads // key.shape[1], tokens, d_head)
    parts = (
        (query, *query.stride()),
        (key, *key.stride()),
        (*_whole(mask, query), above),
        _whole(scores.bias, query),
        rule,
    )
    return parts, (
        scores.causal,
        scores.cap is not None,
        kind,
        scores.bias is not None,
        weigh is not None,
    )


def _whole(given: Tensor | None, other: Tensor) -> tuple[Any, ...]:
    """A tensor and its steps over row, head, query and key; 0 where one entry stands for all."""
    if given is None:
        return (other, 0, 0, 0, 0)
    pairs = zip(given.shape, given.stride(), strict=True)
    return (given, *(0 if size == 1 else step for size, step in pairs))
