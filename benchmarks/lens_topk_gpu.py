"""All up-projections of Llama-3.1-8B's shape read through its unembedding, on one NVIDIA card.

    python -m benchmarks.lens_topk_gpu             about three minutes on an H200
    python -m benchmarks.lens_topk_gpu --sweep     tile sizes of the Triton path, a few repeats each

Random weights in bfloat16; they do not change the time. No time is reported before every path has
found the tokens the reference finds. Aimed at: 1.5 s; the arithmetic alone takes about 0.6 s.
"""

import argparse
import itertools
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from benchmarks import machine
from benchmarks.report import Report, Row, quantile, table
from benchmarks.run import README, with_tables
from kernels.lens_topk import blocks, reference

Found = tuple[Tensor, Tensor, Tensor, Tensor]
Path = Callable[[Tensor, Tensor, int], Any]

DEVICE = "cuda"
WARM_UP = 3
CHUNK = 4_096  # directions whose scores the plain way holds at once
CHECKED = 256  # directions compared with the reference
SAME = 0.999  # share of equal ids: sums in another order may change neighbours
PLAIN, BARE = "chunks, `torch.topk` twice", "the bare products"
SWEEP = {
    "ROWS": (1_024, 2_048, 4_096),
    "TOKENS": (4_096, 8_192, 16_384),
    "CHUNK": (512, 1_024, 2_048),
    "WARPS": (2, 4, 8),
}


def main(arguments: Sequence[str] | None = None) -> None:
    asked = _parser().parse_args(arguments)
    if not torch.cuda.is_available():
        raise SystemExit("no CUDA device here; this benchmark needs one")
    torch.manual_seed(0)
    shape = (asked.directions, asked.width)
    directions = torch.randn(shape, device=DEVICE, dtype=torch.bfloat16)
    words = torch.randn(asked.tokens, asked.width, device=DEVICE, dtype=torch.bfloat16)
    with torch.no_grad():
        if asked.sweep:
            sweep(directions, words, asked.k)
            return
        report = measure(directions, words, asked.k, asked.repeats)
    print(f"{table(report)}\n\nraw samples: {report.save()}")
    README.write_text(with_tables(README.read_text(encoding="utf-8")), encoding="utf-8")


def measure(directions: Tensor, words: Tensor, k: int, repeats: int) -> Report:
    """Every path in turn, `repeats` times each after the warm-up."""
    paths: dict[str, Path] = {
        BARE: bare,
        "ours, plain torch (`blocks`)": blocks.run,
        "ours, Triton": triton_path().run,
        PLAIN: chunks,
    }
    for name, path in paths.items():
        if path is not bare:
            check(name, path, directions[:CHECKED], words, k)
    memory = {name: peak_mb(partial(path, directions, words, k)) for name, path in paths.items()}
    samples: dict[str, list[float]] = {name: [] for name in paths}
    for turn in range(WARM_UP + repeats):
        for name, path in paths.items():
            elapsed = milliseconds(partial(path, directions, words, k))
            if turn >= WARM_UP:
                samples[name].append(elapsed)
    rows = tuple(
        Row("1 card", name, (), tuple(found), "", "" if name in {BARE, PLAIN} else "≤ 1500")
        for name, found in samples.items()
    )
    told = {
        "directions": f"{len(directions):,} × {directions.shape[1]:,}, bfloat16, random",
        "unembedding": f"{len(words):,} × {words.shape[1]:,}",
        "highest and lowest": k,
        "p50 over that of the bare products": _listed(_ratios(samples), "{:.2f}"),
        "memory beside the inputs, MB": _listed(memory, "{:.0f}"),
        "arithmetic": f"{_tflops(directions, words, samples[BARE]):.0f} TFLOP/s in the products",
        "turns": repeats,
        **card(),
    }
    versions = machine.versions() | {"cuda": str(torch.version.cuda)}
    return Report("lens_topk_gpu", machine.line(), versions, told, rows)


def bare(directions: Tensor, words: Tensor, k: int) -> None:  # noqa: ARG001
    """Every product of the size the plain torch path takes, each over the one before it."""
    sizes = blocks.SIZES["cuda"]
    scratch = torch.empty(sizes.rows, sizes.strip, device=DEVICE)
    for rows in torch.split(directions, sizes.rows):
        for part in torch.split(words, sizes.strip):
            blocks.product(rows, part, scratch[: len(rows), : len(part)])


def chunks(directions: Tensor, words: Tensor, k: int) -> Found:
    """The plain way: a chunk of directions against all tokens, then torch.topk for each end."""
    parts = []
    for rows in torch.split(directions, CHUNK):
        scores = torch.empty(len(rows), len(words), device=DEVICE)
        blocks.product(rows, words, scores)
        parts.append((*scores.topk(k), *scores.topk(k, largest=False)))
    top, top_ids, bottom, bottom_ids = (torch.cat(each) for each in zip(*parts, strict=True))
    return top, top_ids, bottom, bottom_ids


def triton_path() -> ModuleType:
    from kernels.lens_topk import triton

    return triton


def check(name: str, path: Path, directions: Tensor, words: Tensor, k: int) -> None:
    """Refuses to time a path whose tokens are not the reference's."""
    found, wanted = path(directions, words, k), reference.run(directions, words, k)
    same = min(float((found[ids] == wanted[ids]).float().mean()) for ids in (1, 3))
    apart = max(float((found[each] - wanted[each]).abs().max()) for each in (0, 2))
    if not (same >= SAME and apart <= 1e-4 * float(wanted[0].abs().max())):
        raise SystemExit(f"{name}: {same:.2%} of the tokens are the reference's, {apart:.2g} apart")


def peak_mb(call: Callable[[], Any]) -> float:
    """Highest memory of the card during a call above what was there before, in MB."""
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    call()
    torch.cuda.synchronize()
    return (torch.cuda.max_memory_allocated() - before) / 1e6


def milliseconds(call: Callable[[], Any]) -> float:
    torch.cuda.synchronize()
    start = time.perf_counter()
    call()
    torch.cuda.synchronize()
    return (time.perf_counter() - start) * 1_000


def sweep(directions: Tensor, words: Tensor, k: int) -> None:
    """The Triton path at every combination of tile sizes, the quickest first."""
    path = triton_path()
    found = []
    for sizes in itertools.product(*SWEEP.values()):
        with _set(path, dict(zip(SWEEP, sizes, strict=True))):
            call = partial(path.run, directions, words, k)
            found.append((min(milliseconds(call) for _ in range(3)), sizes))
    print("ms, " + ", ".join(SWEEP))
    for elapsed, sizes in sorted(found):
        print(f"{elapsed:.0f}, " + ", ".join(map(str, sizes)))


@contextmanager
def _set(module: ModuleType, sizes: dict[str, int]) -> Iterator[None]:
    before = {name: getattr(module, name) for name in sizes}
    vars(module).update(sizes)
    try:
        yield
    finally:
        vars(module).update(before)


def card() -> dict[str, str]:
    """The card's name, its own speed of copying, and what it says of itself."""
    half = torch.empty(2**30, dtype=torch.uint8, device=DEVICE)
    other = torch.empty_like(half)
    fastest = min(milliseconds(lambda: other.copy_(half)) for _ in range(10))
    asked = "clocks.sm,temperature.gpu,utilization.gpu"
    command = ["nvidia-smi", f"--query-gpu={asked}", "--format=csv,noheader", "--id=0"]
    said = ""
    if shutil.which(command[0]):
        said = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return {
        "card": torch.cuda.get_device_name(),
        "copy": f"{2 * half.numel() / fastest / 1e9:.1f} TB/s read and written",
        asked: said or "not told",
    }


def _tflops(directions: Tensor, words: Tensor, samples: Sequence[float]) -> float:
    return 2 * directions.numel() * len(words) / min(samples) / 1e9


def _ratios(samples: dict[str, list[float]]) -> dict[str, float]:
    base = quantile(samples[BARE], 0.5)
    return {name: quantile(found, 0.5) / base for name, found in samples.items() if name != BARE}


def _listed(numbers: dict[str, float], form: str) -> str:
    return ", ".join(f"{name} {form.format(number)}" for name, number in numbers.items())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks.lens_topk_gpu")
    parser.add_argument("--directions", type=int, default=32 * 14_336)
    parser.add_argument("--width", type=int, default=4_096)
    parser.add_argument("--tokens", type=int, default=128_256)
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--sweep", action="store_true", help="tile sizes of the Triton path")
    return parser


if __name__ == "__main__":
    main()
