"""The QK circuit of one head: which tokens look for which, and how far away."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.engine.head_circuits import random_thin
from core.engine.head_probe import Positions
from core.engine.head_weights import HeadWeights, heads_of
from core.engine.token_states import token_inputs
from core.models.loaded import Loaded
from core.spec.errors import Error

N_MEAN = 200  # commonest tokens behind the mean score of an offset
N_RANDOM = 4  # heads of Gaussian weights


def check_offset(loaded: Loaded, here: Positions, offset: int, stack: str) -> None:
    """Raise `Error` for an offset that no query and key of this model have here."""
    whole = isinstance(offset, int) and not isinstance(offset, bool)
    least = -here.furthest if _both_ways(loaded, stack) else 0
    if not whole or not least <= offset <= here.furthest:
        why = "" if least else "; a token sees only itself and what stands in front of it"
        raise Error(
            f"offset {str(offset)[:20]}: take a whole number from {least} to {here.furthest}{why}"
        )


def _both_ways(loaded: Loaded, stack: str) -> bool:
    return loaded.kind == "encoder" or bool(stack)


class Qk:
    """The circuit of one head at one offset."""

    def __init__(
        self,
        loaded: Loaded,
        heads: HeadWeights,
        here: Positions,
        layer: int,
        head: int,
        offset: int,
        stack: str,
    ) -> None:
        self.loaded, self.heads, self.here = loaded, heads, here
        self.layer, self.head, self.offset, self.stack = layer, head, offset, stack

    def tables(
        self,
        sources: Sequence[int],
        common: Sequence[int],
        chosen: Sequence[int | None],
        k: int,
        other: int | None,
        embedding: str,
        seed: int,
        check: Callable[[], None],
    ) -> dict[str, Any]:
        """The fields of the result that are about queries and keys; groups under "tables"."""
        ids = list(dict.fromkeys([*common, *sources, *(i for i in chosen if i is not None)]))
        inputs = token_inputs(self.loaded, ids, self.layer, embedding, self.stack, check)
        place = {token: at for at, token in enumerate(ids)}
        own = self._sides(inputs, self.head)
        preference, score = self._preference(*own, self.head)
        n = len(common)
        check()
        pairs = _strongest(preference[:n, :n], score[:n, :n], common, k)
        queries = [place[token] for token in sources]
        query_id = int(pairs["query_ids"][0]) if chosen[0] is None else chosen[0]
        key_id = int(pairs["key_ids"][0]) if chosen[1] is None else chosen[1]
        pair = (place[query_id], place[key_id])
        beside = None if other is None else self._sides(inputs, other)
        return {
            "n_pairs": n,
            "query_id": query_id,
            "key_id": key_id,
            "pair_control_z": self._largest(beside, other, n),
            "pair_random_z": self._random(inputs[:n], seed),
            "tables": {
                "pairs": pairs,
                "prefers": _prefers(preference, queries, ids, min(k, len(ids))),
                "offsets": self._offsets(own, beside, other, pair),
            },
        }

    def _sides(self, inputs: Tensor, head: int) -> tuple[Tensor, Tensor]:
        """Queries and keys [token, d_head] of one head, normed as in the model."""
        heads, kv = self.heads, self.heads.kv(head)
        query = heads_of(inputs, heads.q, heads.b_q, heads.norm_q)[:, head]
        key = heads_of(inputs, heads.k, heads.b_k, heads.norm_k)[:, kv]
        return query, key

    def _preference(self, query: Tensor, key: Tensor, head: int) -> tuple[Tensor, Tensor]:
        """(score less its mean over keys, score) of all pairs, [query, key]."""
        score = self.here.scores(query, key, self.offset, head)
        return score - score.mean(dim=1, keepdim=True), score

    def _largest(self, sides: tuple[Tensor, Tensor] | None, head: int | None, n: int) -> float:
        if sides is None or head is None:
            return float("nan")
        preference, _ = self._preference(sides[0][:n], sides[1][:n], head)
        return _top_z(preference)

    def _random(self, inputs: Tensor, seed: int) -> float:
        """Mean of the largest z in heads of Gaussian weights that are as large; no biases."""
        query, key = self.heads.qk(self.head)
        draws = zip(*random_thin(query, key.T, N_RANDOM, seed), strict=True)
        found = [
            self._preference(inputs @ left, inputs @ right.T, self.head)[0] for left, right in draws
        ]
        return float(np.mean([_top_z(each) for each in found]))

    def _offsets(
        self,
        own: tuple[Tensor, Tensor],
        beside: tuple[Tensor, Tensor] | None,
        other: int | None,
        pair: tuple[int, int],
    ) -> dict[str, np.ndarray]:
        """Score of the pair, and mean score of common pairs, at every offset."""
        furthest = self.here.furthest
        least = -furthest if _both_ways(self.loaded, self.stack) else 0
        query, key = own[0][pair[0], None], own[1][pair[1], None]
        rows = []
        for offset in range(least, furthest + 1):
            one = self.here.scores(query, key, offset, self.head)
            mean = self.here.scores(own[0][:N_MEAN], own[1][:N_MEAN], offset, self.head).mean()
            control = torch.nan
            if beside is not None and other is not None:
                far = self.here.scores(beside[0][:N_MEAN], beside[1][:N_MEAN], offset, other)
                control = float(far.mean())
            rows.append((float(one), float(mean), control))
        table = np.array(rows, "float32")
        return {
            "offsets": np.arange(least, furthest + 1),
            "score": table[:, 0],
            "mean": table[:, 1],
            "control": table[:, 2],
        }


def _top_z(preference: Tensor) -> float:
    return float(preference.max() / preference.std().clamp_min(1e-12))


def _strongest(
    preference: Tensor, score: Tensor, ids: Sequence[int], k: int
) -> dict[str, np.ndarray]:
    """The k pairs of the largest preference, strongest first."""
    first = preference.flatten().topk(min(k, preference.numel()))
    rows, columns = first.indices // len(ids), first.indices % len(ids)
    table = torch.tensor(list(ids))
    return {
        "query_ids": table[rows.cpu()].numpy(),
        "key_ids": table[columns.cpu()].numpy(),
        "score": score[rows, columns].cpu().numpy(),
        "preference": first.values.cpu().numpy(),
        "z": (first.values / preference.std().clamp_min(1e-12)).cpu().numpy(),
    }


def _prefers(
    preference: Tensor, places: Sequence[int], ids: Sequence[int], k: int
) -> dict[str, np.ndarray]:
    """What queries of the source tokens look for, and whose queries look for them."""
    table, deviation = torch.tensor(list(ids)), preference.std().clamp_min(1e-12)
    keys = preference[list(places)].topk(k)
    queries = preference[:, list(places)].T.topk(k)
    return {
        "key_ids": table[keys.indices.cpu()].numpy(),
        "key_z": (keys.values / deviation).cpu().numpy(),
        "query_ids": table[queries.indices.cpu()].numpy(),
        "query_z": (queries.values / deviation).cpu().numpy(),
    }
