"""The Triton program of `kernels.feature_topk.triton`. Importing this imports triton, so that
nobody does but `run` there, when it is first called."""

from typing import Any

import triton
import triton.language as tl

_jit: Any = triton.jit  # annotations below are quoted: Triton reads them and knows no Any


def _product(
    x_ptr: "Any",
    weight_ptr: "Any",
    token: "Any",
    latent: "Any",
    size: "Any",
    steps: "Any",
    SINGLE: tl.constexpr,
    TOKENS: tl.constexpr,
    LATENTS: tl.constexpr,
    DEPTH: tl.constexpr,
) -> "Any":
    """x [token, d_in] times weight [d_in, feature] for a tile; size: tokens, d_in, features."""
    # A matrix may hold more numbers than 32 bits count.
    rows = token.to(tl.int64)[:, None] * steps[0][0]
    columns = latent.to(tl.int64)[None, :] * steps[1][1]
    total = tl.zeros((TOKENS, LATENTS), dtype=tl.float32)
    for start in range(0, size[1], DEPTH):
        depth = start + tl.arange(0, DEPTH)
        inside = depth < size[1]
        mask = (token < size[0])[:, None] & inside[None, :]
        a = tl.load(x_ptr + rows + depth[None, :] * steps[0][1], mask=mask, other=0.0)
        mask = inside[:, None] & (latent < size[2])[None, :]
        place = depth.to(tl.int64)[:, None] * steps[1][0] + columns
        b = tl.load(weight_ptr + place, mask=mask, other=0.0)
        if SINGLE:
            total += tl.dot(a.to(tl.float32), b.to(tl.float32), input_precision="ieee")
        else:
            total += tl.dot(a, b)
    return total


product = _jit(_product)


def _candidates(
    x_ptr: "Any",
    weight_ptr: "Any",
    bias_ptr: "Any",
    threshold_ptr: "Any",
    lengths_ptr: "Any",
    held_ptr: "Any",
    feature_ptr: "Any",
    size: "Any",
    x_steps: "Any",
    weight_steps: "Any",
    KIND: tl.constexpr,
    SCALED: tl.constexpr,
    SINGLE: tl.constexpr,
    TOKENS: tl.constexpr,
    LATENTS: tl.constexpr,
    DEPTH: tl.constexpr,
    SLOTS: tl.constexpr,
    NONE: tl.constexpr,
) -> None:
    """The SLOTS largest latents that may fire of a tile [TOKENS, LATENTS], largest first.

    held, feature [token, tile of latents, SLOTS]: -inf and -1 in places that stay empty.
    size: tokens, d_in, features. SINGLE: products of float32.
    """
    token = tl.program_id(0) * TOKENS + tl.arange(0, TOKENS)
    tile = tl.program_id(1)
    latent = tile * LATENTS + tl.arange(0, LATENTS)
    there, real = latent < size[2], token < size[0]
    steps = (x_steps, weight_steps)
    total = product(x_ptr, weight_ptr, token, latent, size, steps, SINGLE, TOKENS, LATENTS, DEPTH)
    gate = total + tl.load(bias_ptr + latent, mask=there, other=0.0)[None, :]
    if SCALED:
        gate *= tl.load(lengths_ptr + latent, mask=there, other=0.0)[None, :]
    if KIND == "jumprelu":
        least = tl.load(threshold_ptr + latent, mask=there, other=0.0)[None, :]
        gate = tl.where(gate > least, gate, float("-inf"))
    gate = tl.where((gate > 0) & there[None, :], gate, float("-inf"))
    place = (token.to(tl.int64) * tl.num_programs(1) + tile) * SLOTS
    for slot in tl.static_range(SLOTS):
        best = tl.max(gate, 1)
        fires = best > 0
        chosen = tl.min(tl.where(gate == best[:, None], latent[None, :], NONE), 1)
        here = latent[None, :] == chosen[:, None]
        held = best
        if KIND == "gated":
            held = tl.sum(tl.where(here, total, 0.0), 1)
        tl.store(held_ptr + place + slot, tl.where(fires, held, float("-inf")), mask=real)
        tl.store(feature_ptr + place + slot, tl.where(fires, chosen, -1), mask=real)
        gate = tl.where(here, float("-inf"), gate)


candidates = _jit(_candidates)
