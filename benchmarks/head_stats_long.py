"""Scores of every head over long texts: what they add to the forward, in memory and time.

Bar: memory that grows with the length of the text and not with its square.
"""

from collections.abc import Sequence

import numpy as np

from benchmarks import machine, turns
from benchmarks.peers import heads_long as shape
from benchmarks.report import Report, Row

OURS = "benchmarks.peers.heads_long"
PLAIN = "plain Hugging Face (sdpa), no logits"
# call -> name in the table, what it is compared with
CALLS = {"forward": (PLAIN, ""), "ours": ("ours: every score of every head, no logits", PLAIN)}


def run(*, repeats: int, threads: Sequence[int], allow_load: bool) -> Report:
    """Each length once, in a process of its own, after a short text."""
    del repeats, threads, allow_load
    folder = str(shape.make(turns.scratch() / "llama-small-random"))
    versions, rows, memory = machine.versions(), [], {}
    for tokens in shape.LENGTHS:
        for call, (name, against) in CALLS.items():
            found = _once(folder, f"{call}_{tokens}")
            memory[call, tokens] = found["grown_mb"]
            sample = (1_000 * found["cpu_s"],)
            rows.append(Row(f"{tokens:,} tokens", name, sample, (), against))
    conditions = {
        "model": f"{shape.LAYERS} layers of {shape.HEADS} heads that share {shape.HEADS // 4} "
        "keys, Llama in shape, random weights, float32",
        "memory added, forward and with scores": ", ".join(
            f"{memory['forward', n]:.0f} and {memory['ours', n]:.0f} MB at {n:,}"
            for n in shape.LENGTHS
        ),
        "patterns of one layer would take": ", ".join(
            f"{shape.HEADS * n**2 * 4 / 1e6:,.0f} MB at {n:,}" for n in shape.LENGTHS
        ),
        "threads": 1,
        "turns": 1,
    }
    return Report("head_stats_long", machine.line(), versions, conditions, tuple(rows))


def _once(folder: str, call: str) -> dict[str, float]:
    with turns.candidates({"ours": OURS}, folder, "1") as running:
        path = turns.scratch() / f"heads-long-{call}.npz"
        running["ours"].ask(save=call, to=str(path))
    with np.load(path) as found:
        return {name: float(found[name]) for name in found.files}
