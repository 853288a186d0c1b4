"""The kernel `sharded_attention` and ordinary attention. Run by benchmarks.sharded_attention."""

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.peers.worker import Arrays, serve
from kernels.sharded_attention import Rule, reference, sharded_attention, shards

HEADS, WIDTH = 12, 64  # GPT-2 small
BLOCK, LOCAL, STRIDE = 64, 4, 8
LENGTHS = (1_024, 2_048, 4_096, 8_192)
DEFINED = LENGTHS[:3]  # the definition takes long
RULE = Rule(WIDTH**-0.5)


def main(threads: str) -> None:
    torch.set_num_threads(int(threads))
    torch.set_grad_enabled(False)
    calls: dict[str, Callable[[], Any]] = {}
    for tokens in LENGTHS:
        calls[f"dense_{tokens}"] = partial(dense, tokens)
        calls[f"ours_{tokens}"] = partial(ours, tokens)
    for tokens in DEFINED:
        calls[f"definition_{tokens}"] = partial(definition, tokens)
    serve(calls, _shown, {"torch": torch.__version__})


def inputs(tokens: int) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values [row, head, token, width] from a fixed seed."""
    if tokens not in _made:
        generator = torch.Generator().manual_seed(tokens)
        _made.clear()
        _made[tokens] = torch.randn(3, 1, HEADS, tokens, WIDTH, generator=generator)
    query, key, value = _made[tokens]
    return query, key, value


_made: dict[int, Tensor] = {}


def visible(tokens: int) -> Tensor:
    return shards(tokens // BLOCK, HEADS, LOCAL, STRIDE)[None]


def dense(tokens: int) -> Tensor:
    return torch.nn.functional.scaled_dot_product_attention(*inputs(tokens), is_causal=True)


def ours(tokens: int) -> Tensor:
    return sharded_attention(*inputs(tokens), visible(tokens), BLOCK, RULE).z


def definition(tokens: int) -> Tensor:
    return reference.run(*inputs(tokens), visible(tokens), BLOCK, RULE).z


def _shown(result: Tensor) -> Arrays:
    return {"z": result.numpy()}


if __name__ == "__main__":
    main(*sys.argv[1:])
