"""Scores of heads added up over batches: sums over queries first, divided once at the end."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from core.engine.rows import Rows
from kernels.head_stats import Stats, Targets

LATE = 8  # queries from here on count for distance and local share
LOCAL = 8  # tokens back that are near
REACH = 64  # distances of the lag profile
SHAPES = ("entropy", "effective_tokens", "strongest", "distance", "local", "uneven")
GENERAL, LATER = 0, 1  # groups of queries: those that see more than themselves, those from LATE on
Scores = dict[str, np.ndarray]


def groups(rows: Rows, causal: bool) -> Tensor:
    """[group, row, token] 1.0 for the queries of each group; padding is in none."""
    places = torch.arange(rows.ids.shape[1], device=rows.ids.device)
    real = places[None] < torch.tensor(rows.lengths, device=rows.ids.device)[:, None]
    seeing = real & ((places >= 1) | torch.tensor(not causal))
    late = real & ((places >= LATE) | torch.tensor(not causal))
    return torch.stack([seeing, late]).float()


class Tally:
    """Sums of every layer, in float64 on the host. `add` once per layer and batch.

    shape    layers, heads
    classes  token ids of every class whose received attention is asked for
    """

    def __init__(
        self,
        shape: tuple[int, int],
        causal: bool,
        classes: Mapping[str, frozenset[int]],
        seed: int,
    ) -> None:
        self.shape, self.causal, self.classes, self.seed = shape, causal, classes, seed
        self.sums: dict[tuple[str, str], np.ndarray] = {}
        self.queries: dict[str, int] = {}
        self.n_all = 0  # every query, also those without a target
        self.lag_queries = np.zeros(0)
        self.batch = 0

    def begin(self, rows: Rows, aims: Targets, group: Tensor) -> None:
        """Take the next batch: its targets, what classes its tokens are of, its counts."""
        self.aims, self.group, self.rows = aims, group, rows
        self.batch += 1
        self.n_all += sum(rows.lengths)
        for kind, n in zip(aims.kinds, aims.queries.sum(-1).tolist(), strict=True):
            self.queries[kind] = self.queries.get(kind, 0) + int(n)
        general, later = (int(n) for n in group.sum((1, 2)).tolist())
        for kind in ("entropy", "effective_tokens", "strongest", "uneven", *self.classes):
            self.queries[kind] = self.queries.get(kind, 0) + general
        for kind in self._late():
            self.queries[kind] = self.queries.get(kind, 0) + later
        self.members = {name: self._member(ids) for name, ids in self.classes.items()}
        self.strangers = {name: self._elsewhere(one) for name, one in self.members.items()}

    def _late(self) -> tuple[str, ...]:
        """Distance is a sum over keys of their places, which only causal attention allows."""
        return ("local", "distance") if self.causal else ("local",)

    def _member(self, ids: frozenset[int]) -> Tensor:
        """[row, token] 1.0 for the tokens of a class."""
        wanted = torch.tensor(sorted(ids), device=self.rows.ids.device)
        return torch.isin(self.rows.ids, wanted).float() * self._real()

    def _real(self) -> Tensor:
        places = torch.arange(self.rows.ids.shape[1], device=self.rows.ids.device)
        return places[None] < torch.tensor(self.rows.lengths, device=places.device)[:, None]

    def _elsewhere(self, member: Tensor) -> Tensor:
        """As many random tokens of each row as the class has there."""
        generator = torch.Generator().manual_seed(self.seed * 100_003 + self.batch)
        moved = torch.zeros_like(member)
        for row, length in enumerate(self.rows.lengths):
            order = torch.randperm(length, generator=generator).to(member.device)
            moved[row, :length] = member[row, order]
        return moved

    def add(self, layer: int, stats: Stats, uniform: Stats) -> None:
        """The statistics of one layer of the batch begun last."""
        for number, kind in enumerate(self.aims.kinds):
            self._put("score", kind, layer, stats.target[:, number])
            self._put("control", kind, layer, stats.random[:, number])
            self._put("uniform", kind, layer, uniform.target[:, number])
        received = stats.received[:, GENERAL]  # [row, head, key]
        for name, member in self.members.items():
            self._put("score", name, layer, _at(received, member))
            self._put("control", name, layer, _at(received, self.strangers[name]))
            self._put("uniform", name, layer, _at(uniform.received[:, GENERAL], member))
        for name, values in self._shapes(stats).items():
            self._put("score", name, layer, values)
        for name, values in self._shapes(uniform).items():
            self._put("uniform", name, layer, values)
        self._grow("lag", layer, stats.lag[:, GENERAL].sum(0))
        self._grow("lag_uniform", layer, uniform.lag[:, GENERAL].sum(0))
        self._grow("received", layer, received.sum(0))
        if layer == 0:
            self._count_lags()

    def _shapes(self, stats: Stats) -> dict[str, Tensor]:
        """[row, head] sums that describe the shape of attention."""
        weight = self.group[GENERAL][:, None]  # [row, 1, query]
        seen = stats.visible[:, None]
        share = stats.entropy / seen.clamp_min(2).log()
        ahead = 0 if self.causal else (stats.lag.shape[-1] - 1) // 2
        near = stats.lag[:, LATER, :, max(0, ahead - LOCAL) : ahead + LOCAL + 1].sum(-1)
        found = {
            "entropy": (share * weight).sum(-1),
            "effective_tokens": (stats.entropy.exp() * weight).sum(-1),
            "strongest": (stats.strongest * weight).sum(-1),
            "uneven": stats.uneven[:, GENERAL],
            "local": near,
        }
        if self.causal:
            places = torch.arange(seen.shape[-1], device=seen.device, dtype=torch.float64)
            asked = (self.group[LATER].double() * places).sum(-1)[:, None]
            found["distance"] = asked - stats.received[:, LATER].double() @ places
        return found

    def _count_lags(self) -> None:
        reach = self.sums["lag", "0"].shape[-1]
        real, count = self._real().float(), np.zeros(reach)
        ahead = 0 if self.causal else (reach - 1) // 2
        for place in range(reach):
            lag, n = place - ahead, real.shape[1]
            if abs(lag) < n:
                asked = self.group[GENERAL][:, max(lag, 0) : n + min(lag, 0)]
                count[place] = float((asked * real[:, max(-lag, 0) : n - max(lag, 0)]).sum())
        self.lag_queries = count + (self.lag_queries if self.lag_queries.size else 0)

    def _put(self, what: str, kind: str, layer: int, values: Tensor) -> None:
        """Add [row, head] values; uniform attention has one head for all."""
        sums = self.sums.setdefault((what, kind), np.zeros(self.shape))
        sums[layer] += values.double().sum(0).cpu().numpy()

    def _grow(self, what: str, layer: int, values: Tensor) -> None:
        """Add [head, place] values to those so far, which may be shorter."""
        new = values.double().cpu().numpy()
        old = self.sums.get((what, str(layer)), np.zeros((len(new), 0)))
        width = max(old.shape[1], new.shape[1])
        both = np.zeros((len(new), width))
        both[:, : old.shape[1]] += old
        both[:, : new.shape[1]] += new
        self.sums[what, str(layer)] = both

    def scores(self, what: str) -> Scores:
        """[layer, head] means over queries by kind, of "score", "control" or "uniform"."""
        found = {}
        for (part, kind), sums in self.sums.items():
            if part == what:
                n = self.queries[kind]
                found[kind] = sums / n if n else np.full(self.shape, np.nan)
        return found

    def over_all(self, kind: str) -> np.ndarray:
        """[layer, head] attention on a kind's targets over all queries, with a target or not."""
        return self.sums["score", kind] / self.n_all

    def profile(self, what: str) -> np.ndarray:
        """[layer, head, place] of "lag", "lag_uniform" or "received", as sums."""
        parts = [self.sums[what, str(layer)] for layer in range(self.shape[0])]
        return np.stack(parts)


def _at(received: Tensor, member: Tensor) -> Tensor:
    """[row, head] attention received by the tokens of a class."""
    return torch.einsum("rhk,rk->rh", received, member)
