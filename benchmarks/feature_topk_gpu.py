"""Encode and decode of a dictionary in the shape of Gemma Scope's, on one NVIDIA card.

    python -m benchmarks.feature_topk_gpu            about a minute on an H200
    python -m benchmarks.feature_topk_gpu --sweep    tile sizes of the Triton path

Random weights in bfloat16; they do not change the time. No time is reported before every path has
found the activations the reference finds. Aimed at, with the selection: 70 % of the products that
the card makes in one large call of its library, which is measured in the same run.
"""

import argparse
import itertools
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks import machine
from benchmarks.lens_topk_gpu import card, milliseconds, peak_mb
from benchmarks.report import Report, Row, quantile, table
from benchmarks.run import README, with_tables
from kernels.feature_decode import reference as decode_reference
from kernels.feature_topk import Activation, Codes, blocks, reference

DEVICE = "cuda"
WARM_UP = 3
CHECKED = 256  # tokens compared with the reference
SAME = 0.999  # share of entries found alike: sums in another order may change neighbours
PRODUCT, PLAIN = "the bare product", "product, then `torch.topk`"
DENSE = "decode: dense product"
BAR = "≥ 70 % of the bare product's speed"
SWEEP = {
    "TOKENS": (64, 128, 256),
    "LATENTS": (64, 128, 256),
    "DEPTH": (32, 64, 128),
    "SLOTS": (4, 6),
    "WARPS": (4, 8),
    "STAGES": (3, 4),
}


def main(arguments: Sequence[str] | None = None) -> None:
    asked = _parser().parse_args(arguments)
    if not torch.cuda.is_available():
        raise SystemExit("no CUDA device here; this benchmark needs one")
    torch.manual_seed(0)
    sizes = ((asked.tokens, asked.width), (asked.width, asked.features), (asked.features,))
    x, weight, bias = (torch.randn(size, device=DEVICE, dtype=torch.bfloat16) for size in sizes)
    weight, bias = weight / asked.width**0.5, bias * 0.1 - 2.9
    with torch.no_grad():
        if asked.sweep:
            sweep(x, weight, bias, Activation("topk", asked.k))
            return
        report = measure(x, weight, bias, asked.k, asked.repeats)
    print(f"{table(report)}\n\nraw samples: {report.save()}")
    README.write_text(with_tables(README.read_text(encoding="utf-8")), encoding="utf-8")


def measure(x: Tensor, weight: Tensor, bias: Tensor, k: int, repeats: int) -> Report:
    """Every path in turn, `repeats` times each after the warm-up."""
    from kernels.feature_decode import triton as decode_triton
    from kernels.feature_topk import triton

    kinds = {"topk": Activation("topk", k), "ReLU": Activation("relu")}
    calls: dict[str, Callable[[], Any]] = {PRODUCT: lambda: x @ weight}
    for kind, act in kinds.items():
        for name, path in {"plain torch (`blocks`)": blocks, "Triton": triton}.items():
            check(f"{name}, {kind}", path.run, x[:CHECKED], weight, bias, act)
            calls[f"ours, {name}, {kind}"] = partial(path.run, x, weight, bias, act, None)
    calls[PLAIN] = lambda: (x @ weight + bias).topk(k)
    found = blocks.run(x, weight, bias, kinds["topk"], None)
    rows, dense = weight.T.contiguous(), found.dense().to(weight.dtype)
    calls |= {
        DENSE: lambda: dense @ rows,
        "decode: embedding_bag": lambda: decode_reference.run(found, rows),
        "decode: Triton": lambda: decode_triton.run(found, rows),
    }
    memory = {name: peak_mb(call) for name, call in calls.items()}
    samples: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(WARM_UP + repeats):
        for name, call in calls.items():
            elapsed = milliseconds(call)
            if turn >= WARM_UP:
                samples[name].append(elapsed)
    flops = 2 * x.numel() * weight.shape[1] / 1e9
    base = quantile(samples[PRODUCT], 0.5)
    told = {
        "dictionary": f"{weight.shape[0]:,} → {weight.shape[1]:,}, bfloat16, random, k = {k}",
        "tokens": f"{len(x):,}",
        "arithmetic": f"{flops / min(samples[PRODUCT]):.0f} TFLOP/s in the product",
        "p50 over that of the bare product": ", ".join(
            f"{name} {quantile(each, 0.5) / base:.2f}" for name, each in samples.items()
        ),
        "memory beside the inputs, MB": ", ".join(f"{n} {mb:.0f}" for n, mb in memory.items()),
        "turns": repeats,
        **card(),
    }
    rows_told = tuple(
        Row("1 card", name, (), tuple(each), "", BAR if name.startswith("ours") else "")
        for name, each in samples.items()
    )
    versions = machine.versions() | {"cuda": str(torch.version.cuda)}
    return Report("feature_topk_gpu", machine.line(), versions, told, rows_told)


def check(
    name: str, run: Callable[..., Codes], x: Tensor, weight: Tensor, bias: Tensor, act: Activation
) -> None:
    """Refuses to time a path whose activations are not the reference's."""
    here, wanted = (each(x, weight, bias, act, None).dense() for each in (run, reference.run))
    same = float(((here > 0) == (wanted > 0)).sum() / here.numel())
    both = (here > 0) & (wanted > 0)
    apart = float((here - wanted)[both].abs().max())
    if not (same >= SAME and apart <= 1e-3 * float(wanted.max())):
        raise SystemExit(f"{name}: {same:.2%} fire as in the reference, {apart:.2g} apart")


def sweep(x: Tensor, weight: Tensor, bias: Tensor, act: Activation) -> None:
    """The Triton path at every combination of tile sizes, the quickest first."""
    from kernels.feature_topk import triton

    before = {name: getattr(triton, name) for name in SWEEP}
    found: list[tuple[float, tuple[int, ...]]] = []
    for sizes in itertools.product(*SWEEP.values()):
        vars(triton).update(zip(SWEEP, sizes, strict=True))
        call = partial(triton.run, x, weight, bias, act, None)
        try:
            found.append((min(milliseconds(call) for _ in range(4)), sizes))
        except RuntimeError as fault:  # tiles that do not fit a multiprocessor
            print(f"{sizes}: {type(fault).__name__}")
    vars(triton).update(before)
    print("ms, " + ", ".join(SWEEP))
    for elapsed, sizes in sorted(found):
        print(f"{elapsed:.2f}, " + ", ".join(map(str, sizes)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks.feature_topk_gpu")
    parser.add_argument("--tokens", type=int, default=8_192)
    parser.add_argument("--width", type=int, default=3_584)
    parser.add_argument("--features", type=int, default=131_072)
    parser.add_argument("--k", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--sweep", action="store_true", help="tile sizes of the Triton path")
    return parser


if __name__ == "__main__":
    main()
