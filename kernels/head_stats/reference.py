"""The definition: attention of a chunk of queries at a time, every sum taken, then dropped."""

from collections.abc import Iterator

import torch
from torch import Tensor

from kernels.head_stats import Scores, Stats
from kernels.head_stats.targets import Targets

# Numbers of attention in hand, [row, head, query, key]: 1 MB stays in the cache of a processor.
AT_ONCE = {"cpu": 2**18, "cuda": 2**26}
CHUNK = 64  # queries at most: a longer chunk computes more of what causality then hides
LEAST = 16  # queries, however long the text: products with fewer rows cost more than caches save
LOW = -1e30  # score of a key that is not seen


def run(
    query: Tensor, key: Tensor, scores: Scores, aims: Targets, groups: Tensor, reach: int
) -> Stats:
    """See `kernels.head_stats.head_stats`."""
    sums = _Sums(query.shape[1], aims, groups, reach, scores.causal)
    for rows, queries in _chunks(query):
        keys = slice(0, queries.stop if scores.causal else query.shape[2])
        score = _product(query[rows, :, queries], key[rows, :, keys], scores)
        seen = _seen(scores, rows, queries, keys, query.device)
        score = _biased(score, scores, rows, queries, keys)
        score += torch.where(seen, 0.0, LOW)  # one small tile for all heads, so no masked fill
        attention = torch.softmax(score, dim=-1)
        top = attention.amax(-1)
        # ln of the normaliser told from the largest weight, which saves a sum of exponentials.
        entropy = score.amax(-1) - top.log() - torch.linalg.vecdot(attention, score)
        sums.add(attention, seen, entropy, top, rows, queries)
    return sums.stats()


def of_pattern(
    pattern: Tensor,
    causal: bool,
    aims: Targets,
    groups: Tensor,
    reach: int,
    key_bias: Tensor | None,
) -> Stats:
    """See `kernels.head_stats.pattern_stats`. A key without weight in any head is not seen."""
    sums = _Sums(pattern.shape[1], aims, groups, reach, causal)
    for rows, queries in _chunks(pattern):
        keys = slice(0, queries.stop if causal else pattern.shape[3])
        attention = pattern[rows, :, queries, keys].float()
        seen = (attention > 0).any(dim=1, keepdim=True)
        if key_bias is not None:
            weighed = attention.log() + key_bias[rows, :, None, keys]
            attention = torch.softmax(weighed.masked_fill(~seen, LOW), dim=-1)
        entropy = torch.special.entr(attention).sum(-1)
        sums.add(attention, seen, entropy, attention.amax(-1), rows, queries)
    return sums.stats()


def _chunks(whole: Tensor) -> Iterator[tuple[slice, slice]]:
    """(rows, queries) of [row, head, query, ..], their attention within what is held at once."""
    n_rows, heads, tokens, _ = whole.shape
    most = AT_ONCE.get(whole.device.type, AT_ONCE["cpu"])
    n_queries = min(tokens, CHUNK, max(LEAST, most // (heads * tokens)))
    together = max(1, most // (heads * n_queries * tokens))
    for row in range(0, n_rows, together):
        for query in range(0, tokens, n_queries):
            rows = slice(row, min(row + together, n_rows))
            yield rows, slice(query, min(query + n_queries, tokens))


def _product(query: Tensor, key: Tensor, scores: Scores) -> Tensor:
    """Capped scores [row, head, query, key]; heads that share keys become more queries of them."""
    rows, heads, n_queries, d_head = query.shape
    shared = query.reshape(rows, key.shape[1], -1, d_head).float() * scores.scaling
    score = shared @ key.float().transpose(2, 3)
    if scores.cap is not None:
        score = torch.tanh_(score.div_(scores.cap)).mul_(scores.cap)
    return score.view(rows, heads, n_queries, key.shape[2])


def _biased(score: Tensor, scores: Scores, rows: slice, queries: slice, keys: slice) -> Tensor:
    """Position biases, additive masks and weights of keys added, in place."""
    if scores.bias is not None:
        score += _part(scores.bias, rows, queries, keys)
    if scores.mask is not None and scores.mask.dtype != torch.bool:
        score += _part(scores.mask, rows, queries, keys).float().clamp_min(LOW)
    if scores.key_bias is not None:
        score += scores.key_bias[rows, :, None, keys]
    return score


def _seen(scores: Scores, rows: slice, queries: slice, keys: slice, device: torch.device) -> Tensor:
    """What can be seen, [row or 1, head or 1, query, key] of bool."""
    if scores.mask is not None:
        part = _part(scores.mask, rows, queries, keys)
        return part if part.dtype == torch.bool else part > torch.finfo(part.dtype).min / 2
    every = torch.ones(1, 1, queries.stop - queries.start, keys.stop, dtype=torch.bool)
    return (every.tril(queries.start) if scores.causal else every).to(device)


def _part(whole: Tensor, rows: slice, queries: slice, keys: slice) -> Tensor:
    return (whole if len(whole) == 1 else whole[rows])[:, :, queries, keys]


class _Sums:
    """What is added up over chunks; see `Stats` for the shapes."""

    def __init__(self, heads: int, aims: Targets, groups: Tensor, reach: int, causal: bool) -> None:
        kinds, rows, tokens = aims.count.shape
        self.aims, self.groups = aims, groups
        self.reach, self.ahead = reach, 0 if causal else reach
        lags = self.reach + self.ahead + 1
        empty = groups.new_zeros
        self.slots = empty(rows * 2 * kinds, heads)
        self.lag = empty(rows, len(groups), heads, lags)
        self.received = empty(rows, len(groups), heads, tokens)
        self.uneven = empty(rows, len(groups), heads)
        self.entropy, self.top = empty(rows, heads, tokens), empty(rows, heads, tokens)
        self.visible = empty(rows, tokens)

    def add(
        self,
        attention: Tensor,
        seen: Tensor,
        entropy: Tensor,
        top: Tensor,
        rows: slice,
        queries: slice,
    ) -> None:
        """Attention [row, head, query, key] of some queries, over keys from 0 on."""
        weight = self.groups[:, rows, queries].transpose(0, 1)[:, None]  # [row, 1, group, query]
        visible = seen[:, :1].sum(-1, dtype=torch.float32).clamp_min_(1)  # [row, 1, query]
        self.visible[rows, queries] = visible[:, 0]
        self.entropy[rows, :, queries] = entropy.clamp_min(0)
        self.top[rows, :, queries] = top
        received = weight @ attention  # [row, head, group, key]
        self.received[rows, :, :, : attention.shape[-1]] += received.transpose(1, 2)
        self.lag[rows] += (weight @ self._band(attention, queries)).transpose(1, 2).flip(-1)
        self._aimed(attention, rows, queries)
        apart = (attention - seen / visible[..., None]).abs_().sum(-1)  # [row, head, query]
        self.uneven[rows] += (apart @ weight[:, 0].transpose(1, 2)).transpose(1, 2) / 2

    def _band(self, attention: Tensor, queries: slice) -> Tensor:
        """[row, head, query, lag] by falling lag: the diagonals, as a view with a longer stride."""
        first, end = queries.start - self.reach, queries.stop + self.ahead
        held = attention[..., max(first, 0) : end]
        padding = (max(-first, 0), end - min(end, attention.shape[-1]))
        band = torch.nn.functional.pad(held, padding).contiguous()
        *outer, row, _ = band.stride()
        shape = (*band.shape[:-1], self.reach + self.ahead + 1)
        return band.as_strided(shape, (*outer, row + 1, 1))

    def _aimed(self, attention: Tensor, rows: slice, queries: slice) -> None:
        pairs = self.aims.pairs(rows, queries)
        found = attention[pairs.row - rows.start, :, pairs.query - queries.start, pairs.key]
        per_row = len(self.slots) // self.aims.count.shape[1]
        self.slots.index_add_(0, pairs.row * per_row + pairs.slot, found)

    def stats(self) -> Stats:
        kinds, rows, _ = self.aims.count.shape
        slots = self.slots.view(rows, 2 * kinds, -1)
        return Stats(
            slots[:, :kinds],
            slots[:, kinds:],
            self.lag,
            self.received,
            self.uneven,
            self.entropy,
            self.top,
            self.visible,
        )
