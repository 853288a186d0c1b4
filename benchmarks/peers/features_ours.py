"""The kernels of sparse dictionaries and what they stand on. Run by benchmarks.features."""

import sys
from collections.abc import Callable
from itertools import count
from typing import Any

import torch
from torch import Tensor

from benchmarks.peers import features_shape as shape
from benchmarks.peers.worker import Arrays, serve
from kernels.feature_decode import decode
from kernels.feature_topk import Activation, Codes, encode
from kernels.top_examples import new_firing_state, update_codes

# The fastest shape for the bare products on the machine of the table.
ROWS, STRIP = 1_024, 2_048


def main(threads: str) -> None:
    torch.set_num_threads(int(threads))
    torch.set_grad_enabled(False)
    encoder, bias, decoder, _ = shape.dictionary()
    kinds = {
        "relu": Activation("relu"),
        "topk": Activation("topk", shape.K),
        "jumprelu": Activation("jumprelu", threshold=torch.full_like(bias, shape.THRESHOLD)),
    }
    calls: dict[str, Callable[[], Any]] = {}
    for n in (256, 2_048):
        x, scratch = shape.tokens(n), torch.empty(ROWS * STRIP)
        calls[f"bare_{n}"] = lambda x=x, scratch=scratch: bare(x, encoder, scratch)
        for name, kind in kinds.items():
            calls[f"{name}_{n}"] = lambda x=x, kind=kind: encode(x, encoder, bias, kind)
    found = encode(shape.tokens(256), encoder, bias, kinds["topk"])
    calls["decode"] = lambda: decode(found, decoder)
    calls |= _small() | _statistics(encoder, bias)
    serve(calls, _shown, {"torch": torch.__version__})


def bare(x: Tensor, weight: Tensor, scratch: Tensor) -> None:
    """Every product, each over the one before it."""
    for rows in torch.split(x, ROWS):
        for part in torch.split(weight, STRIP, dim=1):
            out = scratch[: len(rows) * part.shape[1]].view(len(rows), part.shape[1])
            torch.mm(rows, part, out=out)


def _small() -> dict[str, Callable[[], Any]]:
    """One token of the embedded model, a thousand times."""
    d_in, n_features, k = shape.SMALL
    encoder, bias, _, _ = shape.dictionary(d_in, n_features)
    x, act = shape.tokens(1, d_in), Activation("topk", k)
    return {
        "bare_small": lambda: [x @ encoder for _ in range(1_000)],
        "topk_small": lambda: [encode(x, encoder, bias + 2.9, act) for _ in range(1_000)],
    }


def _statistics(encoder: Tensor, bias: Tensor) -> dict[str, Callable[[], Any]]:
    """2,048 tokens into a state that has seen a hundred times as many."""
    n = 2_048
    state, number = new_firing_state(shape.N_FEATURES), count()
    found = encode(shape.tokens(n), encoder, bias, Activation("topk", shape.K))
    context, position = torch.arange(n) // shape.LENGTH, torch.arange(n) % shape.LENGTH

    def statistics() -> None:
        update_codes(state, found, context + next(number) * n, position)

    def warmed() -> None:
        while state.n_tokens < 100 * n:
            statistics()
        statistics()

    return {"statistics": warmed}


def _shown(result: Any) -> Arrays:
    return {"values": (result.dense() if isinstance(result, Codes) else result).numpy()}


if __name__ == "__main__":
    main(*sys.argv[1:])
