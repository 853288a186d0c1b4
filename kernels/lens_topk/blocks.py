"""Exact selection in two stages, in plain torch, on scores that are still in the cache.

The scores of a few hundred directions are computed a strip of tokens at a time. While a strip is
hot, the largest and the smallest score of every block of `BLOCK` tokens are noted. The k highest
tokens of a direction then lie in the k blocks with the highest maxima: a token in any other block
is beaten by those k maxima. Among equal maxima the earlier block counts as higher, and its tokens
have the lower ids, so the same holds for ties. Only those k blocks are looked at again.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from kernels.lens_topk.moments import Powers

BLOCK = 128  # tokens
FEW = 2  # directions


@dataclass(frozen=True)
class Sizes:
    """How much is in hand at once. Tokens are multiples of `BLOCK`, a panel of a strip."""

    rows: int  # directions
    panel: int  # tokens whose scores are kept until the selection: 4 * rows * panel bytes
    strip: int  # tokens per matrix product


# CPU: chosen by measurement for 768 × 50,257, whose panel takes 105 MB (benchmarks/README.md).
# CUDA: large products, 1 GiB; chosen by arithmetic, not measured yet.
SIZES = {"cpu": Sizes(512, 51_200, 2_048), "cuda": Sizes(4_096, 65_536, 65_536)}


def run(
    directions: Tensor, words: Tensor, k: int, powers: Powers | None = None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """See `kernels.lens_topk.lens_topk`; every row of `words` counts."""
    rows, panel, strip = _sizes(len(directions), words, k)
    scratch = torch.empty(panel // strip, rows, strip, device=words.device)
    # Made first: small results made between large temporaries would keep the heap from shrinking.
    values = scratch.new_empty(2, len(directions), k)
    ids = scratch.new_empty(2, len(directions), k, dtype=torch.int64)
    for at in range(0, len(directions), rows):
        tile = slice(at, at + rows)
        values[0, tile], ids[0, tile], values[1, tile], ids[1, tile] = _tile(
            directions[tile], words, k, scratch, powers and powers.of(tile)
        )
    return values[0], ids[0], values[1], ids[1]


def _sizes(n: int, words: Tensor, k: int) -> tuple[int, int, int]:
    """Rows, panel and strip for n directions; few directions take longer strips."""
    sizes = SIZES[words.device.type]
    # Without the blocks a panel is copied and sorted, which takes four times its memory.
    pay = _blocks_pay(sizes.rows, min(len(words), sizes.panel), k)
    rows = min(sizes.rows if pay else max(1, sizes.rows // 4), max(1, n))
    longer = sizes.rows // rows
    if words.dtype != torch.float32:  # each strip is copied to float32
        longer = min(8, longer)
    strip = min(sizes.strip * longer, _up(len(words), BLOCK))
    panel = max(strip, sizes.panel // strip * strip)
    return rows, min(panel, _up(len(words), strip)), strip


def _up(count: int, step: int) -> int:
    return -(-count // step) * step


def _blocks_pay(n: int, n_tokens: int, k: int) -> bool:
    """For a direction or two the calls cost more than reading all scores again."""
    return n > FEW and 2 * k * BLOCK < n_tokens


def _tile(
    directions: Tensor, words: Tensor, k: int, scratch: Tensor, powers: Powers | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """One tile of directions against all words, a panel at a time."""
    tops: list[tuple[Tensor, Tensor]] = []
    bottoms: list[tuple[Tensor, Tensor]] = []
    panel = scratch.shape[0] * scratch.shape[2]
    for start in range(0, len(words), panel):
        part = words[start : start + panel]
        highest, lowest = _fill(scratch, directions, part, powers)
        for found, extremes, sign in ((tops, highest, 1), (bottoms, lowest.neg_(), -1)):
            values, ids = _select(scratch, extremes, len(part), k, sign)
            found.append((values, ids + start))
    top, top_ids = _merge(tops, k)
    bottom, bottom_ids = _merge(bottoms, k)
    return top, top_ids, bottom.neg(), bottom_ids


def _fill(
    scratch: Tensor, directions: Tensor, words: Tensor, powers: Powers | None
) -> tuple[Tensor, Tensor]:
    """Scores into scratch [strip, direction, token]; the extremes [direction, whole block]."""
    n, strip = len(directions), scratch.shape[2]
    parts = torch.split(words, strip)
    in_blocks = scratch.view(*scratch.shape[:2], -1, BLOCK)[: len(parts), :n]
    highest = scratch.new_empty(in_blocks.shape[:3])
    lowest = torch.empty_like(highest)
    for at, part in enumerate(parts):
        product(directions, part, scratch[at, :n, : len(part)])
        if powers is not None:
            powers.add(scratch[at, :n, : len(part)])
        torch.amax(in_blocks[at], 2, out=highest[at])
        torch.amin(in_blocks[at], 2, out=lowest[at])
    whole = len(words) // BLOCK  # the blocks after them hold what was there before
    return _by_direction(highest)[:, :whole], _by_direction(lowest)[:, :whole]


def _by_direction(strips: Tensor) -> Tensor:
    """[strip, direction, x] as [direction, strip * x]."""
    return strips.transpose(0, 1).flatten(1)


def product(directions: Tensor, words: Tensor, scores: Tensor) -> None:
    """scores[:] = directions @ words.T, summed and kept in float32 whatever the inputs are."""
    half = directions.dtype == words.dtype and words.dtype in {torch.float16, torch.bfloat16}
    if half and words.is_cuda:
        torch.mm(directions, words.T, out_dtype=torch.float32, out=scores)
    else:
        torch.mm(directions.float(), words.float().T, out=scores)


def _select(
    scratch: Tensor, extremes: Tensor, n_tokens: int, k: int, sign: int
) -> tuple[Tensor, Tensor]:
    """The k largest of sign * score per row and their token ids, counted within the panel.

    extremes [direction, whole block]: the maximum of sign * score in each
    """
    n, whole = extremes.shape
    if not _blocks_pay(n, n_tokens, k):
        scores = _by_direction(scratch[:, :n])[:, :n_tokens]
        return first(scores if sign > 0 else -scores, min(k, n_tokens))
    chosen = first(extremes, k)[1].sort(dim=1).values  # ascending, so that position follows id
    candidates = [_block_scores(scratch, chosen)]
    if rest := n_tokens % BLOCK:  # always looked at
        strip, column = divmod(whole * BLOCK, scratch.shape[2])
        candidates.append(scratch[strip, :n, column : column + rest])
        chosen = torch.cat([chosen, chosen.new_full((n, 1), whole)], dim=1)
    scores = torch.cat(candidates, dim=1)
    values, at = first(scores if sign > 0 else scores.neg_(), k)
    return values, chosen.gather(1, at // BLOCK) * BLOCK + at % BLOCK


def _block_scores(scratch: Tensor, chosen: Tensor) -> Tensor:
    """Scores of the chosen blocks of each row, [direction, chosen * BLOCK]."""
    _, height, strip = scratch.shape
    per_strip = strip // BLOCK
    row = torch.arange(len(chosen), device=chosen.device)[:, None]
    places = (chosen // per_strip * height + row) * per_strip + chosen % per_strip
    return scratch.view(-1, BLOCK).index_select(0, places.flatten()).view(len(chosen), -1)


def _merge(panels: list[tuple[Tensor, Tensor]], k: int) -> tuple[Tensor, Tensor]:
    """The best k of several panels, whose tokens come in ascending order."""
    if len(panels) == 1:
        return panels[0]
    values, at = first(torch.cat([values for values, _ in panels], dim=1), k)
    return values, torch.cat([ids for _, ids in panels], dim=1).gather(1, at)


def first(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest per row and their positions, the lower position first among equals.

    topk leaves the order of equals open, so rows in which two of the k + 1 largest are equal are
    decided again by a key that holds value and position.
    """
    values, at = scores.topk(min(k + 1, scores.shape[1]), dim=1)
    tied = (values[:, 1:] == values[:, :-1]).any(1)
    if bool(tied.any()):
        at[tied] = _keys(scores[tied]).topk(values.shape[1], dim=1).indices
    return values[:, :k], at[:, :k]


def _keys(scores: Tensor) -> Tensor:
    """Whole numbers in the order of the scores, and of falling position among equal scores.

    The bits of a float32 read as a whole number are in order once those of negative numbers are
    flipped; adding 0.0 makes the two zeros one.
    """
    bits = (scores + 0.0).view(torch.int32)
    ordered = bits ^ ((bits >> 31) & 0x7FFFFFFF)
    return (ordered.long() << 32) - torch.arange(scores.shape[1], device=scores.device)
