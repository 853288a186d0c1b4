"""The kernel `lens_topk` and what it is compared with. Run by benchmarks.lens_topk."""

import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks.peers.worker import Arrays, serve
from kernels.lens_topk import lens_topk

D_MODEL, D_VOCAB, K = 768, 50_257, 10  # GPT-2 small
D_MLP, N_LAYERS = 3_072, 12
# The fastest shape for the bare products on the machine of the table.
ROWS, TOKENS = 1_024, 2_048
CHUNK = 256  # directions whose scores the plain way holds at once: 51 MB


def main(threads: str) -> None:
    torch.set_num_threads(int(threads))
    torch.set_grad_enabled(False)
    torch.manual_seed(0)
    words = torch.randn(D_VOCAB, D_MODEL)
    layer, one = torch.randn(D_MLP, D_MODEL), torch.randn(1, D_MODEL)
    scratch = torch.empty(ROWS * TOKENS)
    calls: dict[str, Callable[[], Any]] = {
        "bare": lambda: bare(layer, words, scratch),
        "ours": lambda: lens_topk(layer, words, K),
        "chunks": lambda: chunks(layer, words),
        "bare_one": lambda: one @ words.T,
        "ours_one": lambda: lens_topk(one, words, K),
        "all": lambda: everything(words),
    }
    serve(calls, _shown, {"torch": torch.__version__})


def bare(directions: torch.Tensor, words: torch.Tensor, scratch: torch.Tensor) -> None:
    """Every product, each over the one before it."""
    for rows in torch.split(directions, ROWS):
        for part in torch.split(words, TOKENS):
            scores = scratch[: len(rows) * len(part)].view(len(rows), len(part))
            torch.mm(rows, part.T, out=scores)


def chunks(directions: torch.Tensor, words: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """The plain way: a chunk of directions against all tokens, then torch.topk for each end."""
    parts = []
    for rows in torch.split(directions, CHUNK):
        scores = rows @ words.T
        top, bottom = scores.topk(K), scores.topk(K, largest=False)
        parts.append((top.values, top.indices, bottom.values, bottom.indices))
    return tuple(torch.cat(each) for each in zip(*parts, strict=True))


def everything(words: torch.Tensor) -> dict[str, float]:
    """All neurons once: seconds, and by how many MB the process grew at its highest."""
    neurons = torch.randn(N_LAYERS * D_MLP, D_MODEL)
    lens_topk(neurons[:1], words[:1], 1)
    before = _peak_mb()
    cpu, wall = time.process_time(), time.perf_counter()
    lens_topk(neurons, words, K)
    return {
        "cpu_s": time.process_time() - cpu,
        "wall_s": time.perf_counter() - wall,
        "grown_mb": _peak_mb() - before,
    }


def _peak_mb() -> float:
    """Highest resident memory so far; Linux counts in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1_024 / 1e6


def _shown(result: Any) -> Arrays:
    if isinstance(result, dict):
        return {name: np.array(value) for name, value in result.items()}
    return {str(at): each.numpy() for at, each in enumerate(result)}


if __name__ == "__main__":
    main(*sys.argv[1:])
