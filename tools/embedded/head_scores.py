"""Previous-token and induction scores of all heads, as means of attention weight."""

from __future__ import annotations

from random import Random

import torch
from torch import Tensor

from tools.embedded.mix import FIRST_PLAIN
from tools.embedded.settings import BEGIN, VOCABULARY


@torch.no_grad()
def patterns(model, ids: Tensor) -> Tensor:
    """Attention probabilities [layer, row, head, query, key] of ids [row, position]."""
    before = model.config._attn_implementation
    model.set_attn_implementation("eager")
    try:
        return torch.stack([one.float() for one in model(ids, output_attentions=True).attentions])
    finally:
        model.set_attn_implementation(before)


def random_repeats(rows: int, length: int, seed: int) -> Tensor:
    """BEGIN, then `length` different random pieces, twice: ids [row, 1 + 2 * length]."""
    rng = Random(seed)
    drawn = [rng.sample(range(FIRST_PLAIN, VOCABULARY), length) for _ in range(rows)]
    return torch.tensor([[BEGIN, *piece, *piece] for piece in drawn])


def repeat_scores(pattern: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """Scores [layer, head] over the second copy: attention to the previous position, and to the
    position after the earlier copy of the same piece.
    """
    queries = torch.arange(1 + length, 1 + 2 * length)
    previous = pattern[..., queries, queries - 1].mean((1, 3))
    induction = pattern[..., queries, queries - length + 1].mean((1, 3))
    return previous, induction


@torch.no_grad()
def copy_gain(model, ids: Tensor, length: int) -> float:
    """Loss on the first copy minus loss on the second, in nats per token, from the second token of
    each copy on.
    """
    logits = model(ids).logits.float()
    loss = torch.nn.functional.cross_entropy(
        logits[:, :-1].transpose(1, 2), ids[:, 1:], reduction="none"
    )
    return float(loss[:, 1:length].mean() - loss[:, length + 1 :].mean())
