"""What every head looks at, from queries and keys, without ever holding [head, query, key]."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from kernels.dispatch import implementation
from kernels.head_stats.targets import Runs, Targets, targets

__all__ = ["Runs", "Scores", "Stats", "Targets", "head_stats", "pattern_stats", "targets"]

Mask = Shaped[Tensor, "..."]


@dataclass(frozen=True)
class Scores:
    """How queries and keys become attention scores: the model's own rule.

    score = cap tanh(scaling q k / cap) + bias + mask + key_bias

    causal    no query sees a key behind itself, also where no mask says so
    mask      [row or 1, head or 1, query, key]: bool (True is seen) or added to the score; what
              is as low as half the dtype's minimum counts as not seen
    bias      [row or 1, head, query, key] added to the score (T5)
    key_bias  [row, head, key] added to the score, to weigh keys: ln w gives attention times w,
              normalised again
    """

    scaling: float
    causal: bool = True
    cap: float | None = None
    mask: Mask | None = None
    bias: Mask | None = None
    key_bias: Tensor | None = None


class Stats(NamedTuple):
    """Sums of attention A over the queries of a row, float32. Groups are sets of queries.

    target, random  [row, kind, head]   A on the targets of each kind, and on the random keys
    lag             [row, group, head, lag]  A[q, q - (lag - ahead)]; lag `ahead` is the query
    received        [row, group, head, key]  A[q, key]
    uneven          [row, group, head]  sum over keys of |A - 1 / visible| / 2
    entropy         [row, head, query]  nats
    strongest       [row, head, query]  largest weight
    visible         [row, query]        keys that can be seen
    """

    target: Tensor
    random: Tensor
    lag: Tensor
    received: Tensor
    uneven: Tensor
    entropy: Tensor
    strongest: Tensor
    visible: Tensor


def head_stats(
    query: Float[Tensor, "row head token d_head"],
    key: Float[Tensor, "row kv_head token d_head"],
    scores: Scores,
    aims: Targets,
    groups: Float[Tensor, "group row token"],
    reach: int = 0,
) -> Stats:
    """All per-head reductions of self-attention, in memory linear in the number of tokens.

    query, key  as the attention function gets them: after rotary embedding and norms. Query
                heads share keys in order; keys are not repeated.
    aims        the targets whose attention is added up; its rows are those of `query`
    groups      1 for queries that count in a group, 0 for others and for padding
    reach       distances 0 to reach are kept (-reach to reach where attention is not causal)

    Sums and softmax in float32. What padded queries (in no group, without targets) have in
    `entropy` and `strongest` means nothing.
    """
    _agree(query, key, aims, groups)
    run, _ = implementation("head_stats", query.device.type)
    with torch.no_grad():
        found: Stats = run(query, key, scores, aims, groups, reach)
    return found


def pattern_stats(
    pattern: Float[Tensor, "row head token token"],
    causal: bool,
    aims: Targets,
    groups: Float[Tensor, "group row token"],
    reach: int = 0,
    key_bias: Float[Tensor, "row head token"] | None = None,
) -> Stats:
    """The same reductions of a pattern that a model hands out, a chunk of queries at a time."""
    from kernels.head_stats import reference

    with torch.no_grad():
        return reference.of_pattern(pattern, causal, aims, groups, reach, key_bias)


def _agree(query: Tensor, key: Tensor, aims: Targets, groups: Tensor) -> None:
    rows, heads, tokens, _ = query.shape
    if heads % key.shape[1]:
        raise ValueError(f"{heads} query heads cannot share {key.shape[1]} key heads")
    if key.shape[2] != tokens:
        raise ValueError(f"self-attention has as many keys as queries, not {key.shape[2]}")
    for name, shape in (("targets", aims.count.shape[1:]), ("groups", groups.shape[1:])):
        if tuple(shape) != (rows, tokens):
            raise ValueError(
                f"the {name} are of {tuple(shape)} rows and tokens, not {rows, tokens}"
            )
