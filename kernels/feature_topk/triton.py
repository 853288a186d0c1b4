"""Products and the choice of candidates in one Triton program; pre-activations are never written.

A program multiplies a block of tokens with a tile of latents and writes the few largest that may
fire: `SLOTS` of `LATENTS`. What of them fires is decided afterwards. A token of which a full tile
may hold more is done again by the plain path, so the answer is exact whatever the weights are.
"""

from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from kernels.feature_topk import blocks
from kernels.feature_topk.activation import Activation
from kernels.feature_topk.codes import Codes, joined
from kernels.feature_topk.encoder import Encoder
from kernels.feature_topk.keys import most_tokens, packed, unpacked

TOKENS, LATENTS, DEPTH = 128, 128, 64  # of a program; powers of two, 16 or more
SLOTS = 4  # candidates of a token in a tile
WARPS, STAGES = 8, 3
ROWS = 16_384  # tokens in hand: 8 * SLOTS / LATENTS bytes for each of their pre-activations
_LATER = 2**31 - 1  # above every latent


def run(
    x: Tensor, weight: Tensor, bias: Tensor, activation: Activation, lengths: Tensor | None
) -> Codes:
    """See `kernels.feature_topk.encode`; not for groupmax, nor for codes."""
    if activation.kind in ("groupmax", "code", "pursuit"):
        kind = activation.kind
        raise ValueError(f"feature_topk:triton knows no {kind}; feature_topk:blocks does")
    lengths = None if lengths is None else lengths.float().contiguous()
    encoder = Encoder(weight, bias.float().contiguous(), activation, lengths)
    rows = min(ROWS, most_tokens(encoder.n))
    tiles = [_tile(part, encoder) for part in torch.split(x, rows)] if len(x) else []
    return joined(tiles, encoder.n, x.device)


def _tile(x: Tensor, encoder: Encoder) -> Codes:
    held, feature = _candidates(x, encoder)
    fires = feature >= 0
    if encoder.most is not None and encoder.most < held[0].numel():
        fires &= held >= held.flatten(1).topk(encoder.most, 1).values[:, -1:, None]
    short = fires[:, :, -1].any(1)  # a full tile may have had more of them
    row, tile, slot = (fires & ~short[:, None, None]).nonzero(as_tuple=True)
    latent = feature[row, tile, slot].long()
    value = encoder.values(held[row, tile, slot], latent)
    live = value > 0
    keys = packed(row[live], latent[live], value[live], encoder.n)
    again = short.nonzero()[:, 0]
    if len(again):
        given = (encoder.weight, encoder.bias, encoder.activation, encoder.lengths)
        more = blocks.run(x[again], *given)
        more_keys = packed(again[more.token], more.feature.long(), more.value, encoder.n)
        keys = torch.cat([keys, more_keys])
    return unpacked(keys.sort().values, len(x), encoder.n, encoder.most)


def _candidates(x: Tensor, encoder: Encoder) -> tuple[Tensor, Tensor]:
    """What is held of the candidates, and their latents, [token, tile, slot]; -1 for none."""
    programs: Any = import_module("kernels.feature_topk.programs")  # imports triton
    weight, threshold = encoder.weight, encoder.bias
    if encoder.kind == "jumprelu":
        threshold = encoder.threshold.flatten().contiguous()
    if x.dtype != weight.dtype:
        x = x.float()
    shape = (len(x), -(-encoder.n // LATENTS), min(SLOTS, LATENTS))
    held = torch.empty(shape, device=x.device)
    feature = torch.empty(shape, dtype=torch.int32, device=x.device)
    lengths = encoder.bias if encoder.lengths is None else encoder.lengths
    programs.candidates[-(-len(x) // TOKENS), shape[1]](
        *(x, weight, encoder.bias, threshold, lengths, held, feature),
        *((*x.shape, encoder.n), x.stride(), weight.stride()),
        KIND=encoder.kind,
        SCALED=encoder.lengths is not None,
        SINGLE=x.dtype == torch.float32,
        TOKENS=TOKENS,
        LATENTS=LATENTS,
        DEPTH=DEPTH,
        SLOTS=shape[2],
        NONE=_LATER,
        num_warps=WARPS,
        num_stages=STAGES,
    )
    return held, feature
