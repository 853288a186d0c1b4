"""Which keys a score asks about, for every query, in memory linear in the length of the text.

The targets of a query are a run in a list of positions: positions sorted by token hold the earlier
equal tokens of each query side by side, and the positions behind those are what an induction head
looks for. So no [query, key] map is ever made, and the chunk of queries at hand is expanded to
(query, key) pairs only while it is looked at.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from jaxtyping import Int64
from torch import Tensor

Places = Int64[Tensor, "row token"]
# A prime above every length: steps of it visit each of fewer keys once before any twice.
_PRIME = 2_147_483_647
_KEPT = 1_000_000  # pairs remembered between layers, 32 MB


class Runs(NamedTuple):
    """Keys of each query: `order[first]`, `order[first + 1]` ... `n` of them."""

    order: Places
    first: Places
    n: Places


class Pairs(NamedTuple):
    """(query, key) pairs of some rows and queries; slot = kind, random ones behind all kinds."""

    row: Tensor
    query: Tensor
    key: Tensor
    slot: Tensor


@dataclass
class Targets:
    """Targets of several kinds, and for each as many random keys that the query may see.

    order, first, count   [kind, row, token] of int64, as in `Runs`
    start   [kind, row, token] of int64, where the random choice of a query begins
    step    the random keys are (start + j step) mod visible
    visible [row, token] of int64, keys 0 to visible - 1 are those a query may see
    """

    kinds: tuple[str, ...]
    order: Tensor
    first: Tensor
    count: Tensor
    start: Tensor
    step: int
    visible: Tensor
    _held: dict[tuple[int, int, int, int], Pairs] = field(default_factory=dict, repr=False)

    @property
    def queries(self) -> Int64[Tensor, "kind row"]:
        """Queries that have a target."""
        return (self.count > 0).sum(-1)

    @property
    def lengths(self) -> Tensor:
        """[row] real tokens."""
        return self.visible.amax(-1)

    def to(self, device: torch.device) -> "Targets":
        """The same targets on another device."""
        parts = (self.order, self.first, self.count, self.start)
        order, first, count, start = (part.to(device) for part in parts)
        return Targets(self.kinds, order, first, count, start, self.step, self.visible.to(device))

    def pairs(self, rows: slice, queries: slice) -> Pairs:
        """All pairs of these rows and queries; counted from 0 of the whole."""
        asked = (rows.start, rows.stop, queries.start, queries.stop)
        if asked in self._held:
            return self._held[asked]
        made = self._pairs(rows, queries)
        if sum(len(each.row) for each in self._held.values()) + len(made.row) <= _KEPT:
            self._held[asked] = made
        return made

    def _pairs(self, rows: slice, queries: slice) -> Pairs:
        count = self.count[:, rows, queries]
        kind, row, query = count.nonzero(as_tuple=True)
        n = count[kind, row, query]
        row, query = row + rows.start, query + queries.start
        each = torch.arange(len(n), device=n.device).repeat_interleave(n)
        nth = torch.arange(len(each), device=n.device) - (n.cumsum(0) - n)[each]
        kind, row, query = kind[each], row[each], query[each]
        aimed = self.order[kind, row, self.first[kind, row, query] + nth]
        # Below 2**62: the step is reduced first.
        seen = self.visible[row, query]
        random = (self.start[kind, row, query] + nth * (self.step % seen)) % seen
        return Pairs(
            row.repeat(2),
            query.repeat(2),
            torch.cat([aimed, random]),
            torch.cat([kind, kind + len(self.kinds)]),
        )


def targets(
    kinds: Mapping[str, Runs], lengths: Sequence[int], *, causal: bool = True, seed: int = 0
) -> Targets:
    """The targets of some kinds, with their random counterparts drawn from the seed.

    lengths  real tokens of each row; queries behind them have no targets
    causal   a query sees the keys up to itself; else all of its row
    """
    device = next(iter(kinds.values())).n.device
    n_tokens = next(iter(kinds.values())).n.shape[1]
    places = torch.arange(n_tokens, device=device)
    ends = torch.tensor(list(lengths), device=device)
    real = places[None] < ends[:, None]
    visible = (places + 1).expand(len(ends), -1) if causal else ends[:, None].expand(-1, n_tokens)
    visible = visible.where(real, torch.ones_like(visible))
    order = torch.stack([runs.order for runs in kinds.values()])
    first = torch.stack([runs.first for runs in kinds.values()])
    counts = torch.stack([runs.n for runs in kinds.values()]) * real
    counts *= order.gather(-1, first) < ends[:, None]  # a target behind the text is none
    generator = torch.Generator().manual_seed(seed)
    start = torch.randint(_PRIME, counts.shape, generator=generator).to(device) % visible
    return Targets(
        tuple(kinds),
        order,
        first,
        counts,
        start,
        _PRIME,
        visible.contiguous(),
    )


def near(ids: Places, first: Tensor, last: Tensor) -> Runs:
    """The keys from `first` to `last`, both [token] or [row, token]; none where first > last."""
    n_tokens = ids.shape[1]
    first, last = first.expand_as(ids), last.expand_as(ids)
    order = torch.arange(n_tokens, device=ids.device).expand_as(ids)
    inside = (first >= 0) & (last < n_tokens)
    return Runs(order, first.clamp(0, n_tokens - 1), (last - first + 1).clamp_min(0) * inside)


def back(ids: Places, distance: int) -> Runs:
    """The key that many tokens before the query; negative: behind it."""
    places = torch.arange(ids.shape[1], device=ids.device)
    return near(ids, places - distance, places - distance)


def at(ids: Places, key: int) -> Runs:
    """One key for all queries behind it."""
    places = torch.arange(ids.shape[1], device=ids.device)
    same = torch.full_like(places, key)
    return near(ids, same, same.where(places > key, torch.full_like(places, key - 1)))


def equal(labels: Places, *, behind: int = 0) -> Runs:
    """Earlier positions with the query's label (or the ones `behind` those); -1 is no label.

    `equal(ids)` are the earlier equal tokens, `equal(ids, behind=1)` what followed them.
    """
    by_label = labels.argsort(dim=-1, stable=True)
    ordered = labels.gather(-1, by_label)
    places = torch.arange(labels.shape[1], device=labels.device).expand_as(labels)
    begins = torch.ones_like(labels, dtype=torch.bool)
    begins[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    group = (places * begins).cummax(dim=-1).values
    rank = torch.empty_like(places).scatter_(-1, by_label, places)
    first = group.gather(-1, rank)
    return Runs(by_label + behind, first, (rank - first) * (labels >= 0))


def after_same_two(ids: Places) -> Runs:
    """What followed the earlier places where the query's token and the one before it stood."""
    two = ids.clone()
    two[:, 1:] += ids[:, :-1] * (int(ids.max()) + 1)
    two[:, 0] = -1
    return equal(two, behind=1)
