"""The definition: scores of a tile of directions, then a stable sort's first and last k."""

import torch
from torch import Tensor

from kernels.lens_topk.moments import Powers

# A tile of scores [direction, token] stays below this many numbers (64 MB in float32).
TILE = 16_000_000


def run(
    directions: Tensor, words: Tensor, k: int, powers: Powers | None = None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """See `kernels.lens_topk.lens_topk`; every row of `words` counts."""
    rows, columns = max(1, TILE // len(words)), words.float().T
    parts = []
    for at in range(0, max(1, len(directions)), rows):
        tile = slice(at, at + rows)
        scores = directions[tile].float() @ columns
        parts.append(_tile(scores, k))
        if powers is not None:
            powers.of(tile).add(scores)
    top, top_ids, bottom, bottom_ids = (torch.cat(each) for each in zip(*parts, strict=True))
    return top, top_ids, bottom, bottom_ids


def _tile(scores: Tensor, k: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    top, top_ids = _first(scores, k)
    bottom, bottom_ids = _first(-scores, k)
    return top, top_ids, -bottom, bottom_ids


def _first(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest per row, the lower id first among equals (topk alone leaves that open)."""
    values, ids = scores.topk(k, dim=-1)
    edge = values[:, -1:]
    if bool(((scores == edge).sum(-1) > (values == edge).sum(-1)).any()) or bool(
        (values[:, 1:] == values[:, :-1]).any()
    ):
        values, ids = scores.sort(dim=-1, descending=True, stable=True)
        values, ids = values[:, :k], ids[:, :k]
    return values, ids
