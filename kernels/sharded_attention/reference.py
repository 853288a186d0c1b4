"""The definition: a chunk of queries at a time, the block mask expanded for that chunk alone."""

import torch
from torch import Tensor

from kernels.sharded_attention import Rule, Sharded

AT_ONCE = {"cpu": 2**20, "cuda": 2**26}  # scores in hand, [row, head, query, key]
LOW = -1e30  # score of a key that is not seen


def run(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    visible: Tensor,
    block: int,
    rule: Rule,
    share: bool = False,
) -> Sharded:
    """See `kernels.sharded_attention.sharded_attention`."""
    rows, heads, tokens, _ = query.shape
    most = AT_ONCE.get(query.device.type, AT_ONCE["cpu"])
    size = max(1, min(tokens, most // (rows * heads * tokens)))
    parts = [
        _chunk(query, key, value, visible, block, rule, slice(start, min(start + size, tokens)))
        for start in range(0, tokens, size)
    ]
    z, kept = (torch.cat(each, dim=2) for each in zip(*parts, strict=True))
    z = z.transpose(1, 2).contiguous().to(value.dtype)
    return Sharded(z, kept if share else None)


def _chunk(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    visible: Tensor,
    block: int,
    rule: Rule,
    queries: slice,
) -> tuple[Tensor, Tensor]:
    """(z [row, head, query, d_head], share kept [row, head, query]) of some queries."""
    rows, heads, _, d_head = query.shape
    keys = slice(0, queries.stop)
    shared = query[:, :, queries].reshape(rows, key.shape[1], -1, d_head).float() * rule.scaling
    score = (shared @ key[:, :, keys].float().transpose(2, 3)).view(rows, heads, -1, keys.stop)
    if rule.cap is not None:
        score = torch.tanh_(score.div_(rule.cap)).mul_(rule.cap)
    score = _masked(score, rule, queries, keys)
    whole = torch.logsumexp(score, dim=-1)
    place = torch.arange(queries.stop, device=score.device) // block
    seen = visible[:, :, place[queries]][..., place]  # [row or 1, head, query, key]
    score.masked_fill_(~seen, LOW)
    left = torch.logsumexp(score, dim=-1)
    attention = torch.exp_(score.sub_(left[..., None]))
    grouped = attention.view(rows, key.shape[1], -1, keys.stop)
    z = (grouped @ value[:, :, keys].float()).view(rows, heads, -1, value.shape[-1])
    return z, torch.exp(left - whole).clamp_max(1)


def _masked(score: Tensor, rule: Rule, queries: slice, keys: slice) -> Tensor:
    """Position biases added, and what the model itself hides."""
    if rule.bias is not None:
        score = score + rule.bias[:, :, queries, keys].float()
    n, whole = score.shape[-2:]
    later = torch.ones(n, whole, dtype=torch.bool, device=score.device).triu(queries.start + 1)
    score = score.masked_fill(later, LOW)
    if rule.mask is None:
        return score
    part = rule.mask[:, :, queries, keys]
    if part.dtype == torch.bool:
        return score.masked_fill(~part, LOW)
    return (score + part.float()).clamp_min(LOW)
