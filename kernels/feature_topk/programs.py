"""The Triton program of `kernels.feature_topk.triton`. Importing this imports triton, so that
nobody does but `run` there, when it is first called."""

from typing import Any

import triton
import triton.language as tl

_jit: Any = triton.jit  # annotations below are quoted: Triton reads them and knows no Any


def _candidates(
    x_ptr: "Any",
    weight_ptr: "Any",
    bias_ptr: "Any",
    threshold_ptr: "Any",
    lengths_ptr: "Any",
    held_ptr: "Any",
    feature_ptr: "Any",
    n_tokens: "Any",
    d_in: "Any",
    n_features: "Any",
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
    x [token, d_in], weight [d_in, feature]: their steps; SINGLE: products of float32.
    """
    token = tl.program_id(0) * TOKENS + tl.arange(0, TOKENS)
    tile = tl.program_id(1)
    latent = tile * LATENTS + tl.arange(0, LATENTS)
    there = latent < n_features
    # A matrix may hold more numbers than 32 bits count.
    rows = token.to(tl.int64)[:, None] * x_steps[0]
    columns = latent.to(tl.int64)[None, :] * weight_steps[1]
    total = tl.zeros((TOKENS, LATENTS), dtype=tl.float32)
    for start in range(0, d_in, DEPTH):
        depth = start + tl.arange(0, DEPTH)
        inside = depth < d_in
        mask = (token < n_tokens)[:, None] & inside[None, :]
        a = tl.load(x_ptr + rows + depth[None, :] * x_steps[1], mask=mask, other=0.0)
        mask = inside[:, None] & there[None, :]
        place = depth.to(tl.int64)[:, None] * weight_steps[0] + columns
        b = tl.load(weight_ptr + place, mask=mask, other=0.0)
        if SINGLE:
            total += tl.dot(a.to(tl.float32), b.to(tl.float32), input_precision="ieee")
        else:
            total += tl.dot(a, b)
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
        real = token < n_tokens
        tl.store(held_ptr + place + slot, tl.where(fires, held, float("-inf")), mask=real)
        tl.store(feature_ptr + place + slot, tl.where(fires, chosen, -1), mask=real)
        gate = tl.where(here, float("-inf"), gate)


candidates = _jit(_candidates)
