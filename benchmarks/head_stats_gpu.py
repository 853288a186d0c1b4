"""Scores of all heads over 32,768 tokens of a Llama-3.1-8B in shape, on one NVIDIA card.

    python -m benchmarks.head_stats_gpu              some minutes, 20 GB of the card
    python -m benchmarks.head_stats_gpu --tokens 8192 --layers 4

Random weights in bfloat16, made on the card; they do not change the time. The model's own attention
goes on, and the kernel hears the same queries and keys, layer by layer. No time is reported before
every path has given what float64 patterns give on a short text. Aimed at: memory that grows with
the length and not with its square.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks import machine
from benchmarks.lens_topk_gpu import card, milliseconds, peak_mb
from benchmarks.report import Report, Row, quantile, table
from benchmarks.run import README, with_tables
from core.engine import attention
from core.models.library import transformers
from kernels.head_stats import Scores, Stats, reference, targets
from kernels.head_stats.targets import Targets, after_same_two, at, back, equal

DEVICE = "cuda"
WARM_UP = 1
REACH = 64  # distances of the lag profile
CHECKED, CLOSE = 512, 2e-3  # tokens compared with float64; queries and keys are bfloat16 there too
VOCABULARY = 8_192
PLAIN = "the forward alone"
Path = Callable[[Tensor, Tensor, Scores, Targets, Tensor, int], Stats]


@dataclass(frozen=True)
class Asked:
    """A text, and what the kernel is asked about it."""

    ids: Tensor
    aims: Targets
    groups: Tensor


def main(arguments: Sequence[str] | None = None) -> None:
    asked = _parser().parse_args(arguments)
    if not torch.cuda.is_available():
        raise SystemExit("no CUDA device here; this benchmark needs one")
    with torch.no_grad():
        report = measure(model(asked.layers, asked.tokens), asked.tokens, asked.repeats)
    print(f"{table(report)}\n\nraw samples: {report.save()}")
    README.write_text(with_tables(README.read_text(encoding="utf-8")), encoding="utf-8")


def model(layers: int, tokens: int, **smaller: int) -> Any:
    """The blocks of a Llama-3.1-8B in shape, without an unembedding; attention goes through us."""
    fields = {
        "vocab_size": VOCABULARY,
        "hidden_size": 4_096,
        "intermediate_size": 14_336,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        **smaller,
    }
    config = transformers.LlamaConfig(
        num_hidden_layers=layers, max_position_embeddings=tokens, dtype=torch.bfloat16, **fields
    )
    torch.manual_seed(0)
    with torch.device(DEVICE):
        made = transformers.LlamaModel(config).to(torch.bfloat16).eval()
    if not attention.install(made):
        raise SystemExit("this version of transformers has no attention interface")
    return made


def question(tokens: int) -> Asked:
    """A text whose second half says the first again, with the targets of its heads."""
    generator = torch.Generator().manual_seed(0)
    half = torch.randint(VOCABULARY, (1, tokens // 2), generator=generator)
    ids = torch.cat([half, half], dim=1).to(DEVICE)
    kinds = {
        "previous_token": back(ids, 1),
        "first_token": at(ids, 0),
        "duplicate_token": equal(ids),
        "induction": equal(ids, behind=1),
        "induction_after_two": after_same_two(ids),
    }
    aims = targets(kinds, [ids.shape[1]])
    return Asked(ids, aims, torch.ones(1, *ids.shape, device=DEVICE))


def heard(made: Any, path: Path | None, asked: Asked) -> list[Stats]:
    """One forward, and what the path says of every layer; None: the forward alone."""
    found: list[Stats] = []

    def hear(
        _: nn.Module, query: Tensor, key: Tensor, mask: Tensor | None, options: dict[str, Any]
    ) -> None:
        if path is not None:
            rule = Scores(options.get("scaling") or query.shape[-1] ** -0.5, mask=mask)
            found.append(path(query, key, rule, asked.aims, asked.groups, REACH))

    with attention.listening(hear if path is not None else None):
        made(asked.ids, use_cache=False)
    return found


def measure(made: Any, tokens: int, repeats: int) -> Report:
    """Every path in turn, `repeats` times each after the warm-up."""
    paths: dict[str, Path | None] = {
        PLAIN: None,
        "with scores, plain torch (`reference`)": reference.run,
        "with scores, Triton": triton_path().run,
    }
    short, asked = question(CHECKED), question(tokens)
    apart = {name: check(made, name, path, short) for name, path in paths.items() if path}
    calls = {name: partial(heard, made, path, asked) for name, path in paths.items()}
    memory = {name: peak_mb(call) for name, call in calls.items()}
    samples: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(WARM_UP + repeats):
        for name, call in calls.items():
            elapsed = milliseconds(call)
            if turn >= WARM_UP:
                samples[name].append(elapsed)
    rows = tuple(Row("1 card", name, (), tuple(found)) for name, found in samples.items())
    config, base = made.config, quantile(samples[PLAIN], 0.5)
    layers, heads = config.num_hidden_layers, config.num_attention_heads
    others = [name for name in samples if name != PLAIN]
    told = {
        "text": f"{tokens:,} tokens, one row, the second half as the first",
        "model": f"{layers} layers of {heads} heads, {config.hidden_size:,} wide, bfloat16, random",
        "p50 over that of the forward": ", ".join(
            f"{name} {quantile(samples[name], 0.5) / base:.2f}" for name in others
        ),
        "memory beside the weights, MB": ", ".join(f"{k} {v:,.0f}" for k, v in memory.items()),
        "patterns of one layer would take": f"{heads * tokens**2 * 4 / 1e9:,.0f} GB",
        f"largest difference from float64 over {CHECKED} tokens": f"{max(apart.values()):.1e}",
        "turns": repeats,
        **card(),
    }
    versions = machine.versions() | {"cuda": str(torch.version.cuda)}
    return Report("head_stats_gpu", machine.line(), versions, told, rows)


def check(made: Any, name: str, path: Path, asked: Asked) -> float:
    """Largest difference of a mean score from float64 patterns; refuses to time a wrong path."""
    worst = 0.0
    for found, wanted in zip(heard(made, path, asked), heard(made, exact, asked), strict=True):
        n = asked.aims.queries.sum(-1).clamp_min(1)[:, None]
        for own, right in ((found.target, wanted.target), (found.random, wanted.random)):
            worst = max(worst, float(((own - right)[0] / n).abs().max()))
        worst = max(worst, float((found.entropy - wanted.entropy).abs().mean()))
    if not worst <= CLOSE:
        raise SystemExit(f"{name}: {worst:.2g} from float64 patterns, so it is not timed")
    return worst


def exact(
    query: Tensor, key: Tensor, rule: Scores, aims: Targets, groups: Tensor, reach: int
) -> Stats:
    """The same of whole patterns in float64; a short text only."""
    keys = key.repeat_interleave(query.shape[1] // key.shape[1], dim=1).double()
    score = query.double() @ keys.transpose(2, 3) * rule.scaling
    later = torch.ones(score.shape[-2:], dtype=torch.bool, device=score.device).triu(1)
    pattern = score.masked_fill(later, float("-inf")).softmax(-1)
    return reference.of_pattern(pattern, True, aims, groups, reach, None)


def triton_path() -> ModuleType:
    from kernels.head_stats import triton

    return triton


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks.head_stats_gpu")
    parser.add_argument("--tokens", type=int, default=32_768)
    parser.add_argument("--layers", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=5)
    return parser


if __name__ == "__main__":
    main()
