"""Pre-activations are looked at in blocks while they are in the cache, in plain torch.

Some hundred tokens are multiplied with a strip of latents at a time. While the strip is hot, the
largest pre-activation of every block of latents is noted. A latent can only fire in a block whose
maximum reaches a bound: zero, the smallest threshold of the block, or, for topk, the k-th largest
maximum of the token, since k latents are at least that large. Few blocks do, and only they are
read again. What fires by itself is selected strip by strip; topk keeps a panel of strips until the
bound of its tokens is known.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from kernels.feature_topk import reference
from kernels.feature_topk.activation import Activation
from kernels.feature_topk.codes import Codes, joined
from kernels.feature_topk.encoder import BLOCK, Encoder
from kernels.feature_topk.keys import most_tokens, packed, unpacked
from kernels.lens_topk.blocks import first

FEW = 262_144  # pre-activations; below, the calls cost more than reading all of them again
_SMALLEST = 2.0**-149  # float32 above zero


@dataclass(frozen=True)
class Sizes:
    """How much is in hand at once."""

    rows: int  # tokens
    held: int  # pre-activations, a panel of some strips for all rows
    strip: int  # latents per matrix product, a multiple of `BLOCK`


# CPU: chosen by measurement for 768 -> 24,576 (benchmarks/README.md); 30 MB, since the C library
# gives more than 32 MiB back at once, and pages new to a process cost as much as the selection.
# CUDA: large products, 1 GiB; chosen by arithmetic, not measured yet.
SIZES = {"cpu": Sizes(1_024, 7_500_000, 2_048), "cuda": Sizes(4_096, 2**28, 65_536)}


def run(
    x: Tensor, weight: Tensor, bias: Tensor, activation: Activation, lengths: Tensor | None
) -> Codes:
    """See `kernels.feature_topk.encode`; codes are the reference's business."""
    if activation.kind in ("code", "pursuit"):
        return reference.run(x, weight, bias, activation, lengths)
    lengths = None if lengths is None else lengths.float()
    encoder = Encoder(weight, bias.float(), activation, lengths)
    if not len(x) or (activation.kind == "topk" and len(x) * encoder.n <= FEW):
        return _few(x, encoder)
    rows, panel, strip = _sizes(len(x), encoder)
    scratch = torch.empty(panel * rows, device=x.device)
    tiles = [
        _tile(part, encoder, scratch[: panel * len(part)].view(-1, len(part), strip))
        for part in torch.split(x, rows)
    ]
    return joined(tiles, encoder.n, x.device)


def _few(x: Tensor, encoder: Encoder) -> Codes:
    """topk of a few tokens, all pre-activations at once."""
    held = torch.empty(len(x), encoder.n, device=x.device)
    encoder.fill(x, slice(0, encoder.n), held)
    value, feature = first(held, min(encoder.activation.k, encoder.n))
    live = value > 0
    if bool(live.all()):
        start = torch.arange(len(x) + 1, device=x.device) * value.shape[1]
    else:
        start = pad(live.sum(1).cumsum(0), (1, 0))
        value, feature = value[live], feature[live]
    return Codes(start, feature.flatten().int(), value.flatten(), encoder.n)


def _sizes(n: int, encoder: Encoder) -> tuple[int, int, int]:
    """Tokens, panel and strip; few tokens take longer strips."""
    sizes = SIZES[encoder.weight.device.type]
    rows = max(1, min(sizes.rows, most_tokens(encoder.n), n))
    longer = max(1, sizes.rows // rows // 4)
    if encoder.weight.dtype != torch.float32:  # each strip is copied to float32
        longer = min(4, longer)
    unit = encoder.n // encoder.activation.k if encoder.kind == "groupmax" else BLOCK
    strip = min(_up(sizes.strip * longer, unit), _up(encoder.n, unit))
    if encoder.kind == "groupmax":
        return rows, strip, strip
    panel = max(strip, sizes.held // rows // strip * strip)
    if encoder.most is not None:  # fewer blocks than this would bound little
        panel = max(panel, _up(2 * encoder.most * BLOCK, strip))
        rows = max(1, min(rows, 4 * sizes.held // panel))
    return rows, min(panel, _up(encoder.n, strip)), strip


def _up(count: int, step: int) -> int:
    return -(-count // step) * step


def _tile(x: Tensor, encoder: Encoder, scratch: Tensor) -> Codes:
    """One tile of tokens against all latents, a panel at a time."""
    panel = scratch.shape[0] * scratch.shape[2]
    starts = range(0, encoder.n, panel)
    parts = [slice(start, min(start + panel, encoder.n)) for start in starts]
    if encoder.kind == "groupmax":
        keys = [_groups(x, encoder, part, scratch) for part in parts]
    else:
        bounds = _Bounds(encoder)
        keys = [_panel(x, encoder, part, scratch, bounds) for part in parts]
    return unpacked(torch.cat(keys).sort().values, len(x), encoder.n, encoder.most)


def _panel(x: Tensor, encoder: Encoder, part: slice, scratch: Tensor, bounds: "_Bounds") -> Tensor:
    """Keys of the latents of a panel that fire; for topk of a few more."""
    starts = range(part.start, part.stop, scratch.shape[2])
    strips = [slice(start, min(start + scratch.shape[2], part.stop)) for start in starts]
    filled = [_filled(x, encoder, strip, scratch[at]) for at, strip in enumerate(strips)]
    highest = torch.cat(filled, dim=1)
    bound = bounds.of(highest, part.start // BLOCK)
    row, block = (highest >= bound).nonzero(as_tuple=True)
    held = _blocks(scratch, row, block)
    block += part.start // BLOCK
    fires = held >= bound[row] if encoder.kind == "topk" else encoder.fires(held, block)
    at, feature = _entries(fires, block)
    value = encoder.values(held.view(-1)[at], feature)
    row = row[_pair(at)]
    if encoder.kind == "gated":
        live = value > 0
        row, feature, value = row[live], feature[live], value[live]
    return packed(row, feature, value, encoder.n)


class _Bounds:
    """What the maximum of a block must reach, while the latents of a tile go by."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._largest: Tensor | None = None  # [token, up to k] block maxima so far, for topk

    def of(self, highest: Tensor, block: int) -> Tensor:
        """For maxima [token, block] of the blocks from `block` on; [token, block] or spreads."""
        if self._encoder.kind == "jumprelu":
            least = self._encoder.threshold[block : block + highest.shape[1]].amin(1)
            return least.clamp_min_(_SMALLEST)
        if self._encoder.most is None:
            return highest.new_full((1, 1), _SMALLEST)
        every = highest if self._largest is None else torch.cat([self._largest, highest], 1)
        if every.shape[1] >= self._encoder.most:
            every = every.topk(self._encoder.most, 1).values
        self._largest = every
        if every.shape[1] < self._encoder.most:
            return highest.new_full((len(highest), 1), _SMALLEST)
        return every[:, -1:].clamp_min(_SMALLEST)


def _groups(x: Tensor, encoder: Encoder, part: slice, scratch: Tensor) -> Tensor:
    """Keys of the largest latent of every group of a strip of whole groups."""
    size = encoder.n // encoder.activation.k
    width = part.stop - part.start
    held = scratch[0, :, :width]
    encoder.fill(x, part, held)
    value, place = held.view(len(x), -1, size).max(dim=2)
    row, group = (value > 0).nonzero(as_tuple=True)
    feature = part.start + group * size + place[row, group]
    return packed(row, feature, value[row, group], encoder.n)


def _filled(x: Tensor, encoder: Encoder, part: slice, scratch: Tensor) -> Tensor:
    """A strip into scratch [token, strip], padded to whole blocks; maxima [token, block]."""
    width = part.stop - part.start
    encoder.fill(x, part, scratch[:, :width])
    rest = -width % BLOCK
    scratch[:, width : width + rest] = -torch.inf
    gates = encoder.gates(scratch[:, : width + rest], part)
    return gates.view(len(x), -1, BLOCK).amax(2)


def _blocks(scratch: Tensor, row: Tensor, block: Tensor) -> Tensor:
    """Blocks of scratch [strip, token, latent], [pair, BLOCK]; they count through the strips."""
    _, height, strip = scratch.shape
    per_strip = strip // BLOCK
    at = torch.div(block, per_strip, rounding_mode="floor")
    places = (at * height + row) * per_strip + block - at * per_strip
    return scratch.view(-1, BLOCK).index_select(0, places)


def _entries(fires: Tensor, block: Tensor) -> tuple[Tensor, Tensor]:
    """Places in fires [pair, BLOCK] that are true, counted through, and their latents."""
    # Eight at a time first: few are true.
    eights = fires.view(-1, 8)
    some = eights.view(torch.int64).view(-1).nonzero()[:, 0]
    which, place = eights[some].nonzero(as_tuple=True)
    at = some[which] * 8 + place
    return at, at + (block - torch.arange(len(block), device=block.device))[_pair(at)] * BLOCK


def _pair(at: Tensor) -> Tensor:
    return torch.div(at, BLOCK, rounding_mode="floor")
