"""Attention of shards against ordinary attention over the same text, at several lengths.

Bar: no slower than ordinary attention where half of the blocks are hidden, and less than half of
its time where four fifths are. No time is reported unless the definition says the same to 1e-4.
"""

from collections.abc import Sequence

import numpy as np

from benchmarks import machine, turns
from benchmarks.peers import sharded_ours as shape
from benchmarks.report import Report, Row

TOLERANCE = 1e-4
MODULES = {"ours": "benchmarks.peers.sharded_ours"}
DENSE = "ordinary attention (sdpa)"
# call -> name in the table, what it is compared with
CALLS = {
    "dense": (DENSE, ""),
    "ours": ("ours: visible blocks alone", DENSE),
    "definition": ("the definition: every score, then hidden", DENSE),
}
BARS = {1_024: "≤ 1.00", 8_192: "≤ 0.50"}


def run(*, repeats: int, threads: Sequence[int], allow_load: bool) -> Report:
    """One thread: a model's other heads and rows keep the others busy."""
    del threads
    before = machine.busy_cores()
    versions = machine.versions()
    samples: dict[tuple[str, str], turns.Samples] = {}
    with turns.candidates(MODULES, "1") as running:
        versions |= running["ours"].versions
        worst = max(_disagreement(running["ours"], tokens) for tokens in shape.DEFINED)
        for tokens in shape.LENGTHS:  # a length at a time: its inputs stay in memory
            pairs = [("ours", f"{call}_{tokens}") for call in CALLS if _asked(call, tokens)]
            samples |= turns.interleaved(running, pairs, repeats)
    calm = max(before, machine.busy_cores()) <= machine.BUSY_LIMIT or allow_load
    rows = []
    for (_, name), each in samples.items():
        call, _, length = name.partition("_")
        bar = BARS.get(int(length), "") if call == "ours" else ""
        times = (tuple(each.cpu_ms), each.steady_wall(calm))
        rows.append(Row(f"{int(length):,} tokens", CALLS[call][0], *times, CALLS[call][1], bar))
    conditions = {
        "heads": f"{shape.HEADS} of {shape.WIDTH}, float32, one row",
        "shards": f"blocks of {shape.BLOCK}, {shape.LOCAL} local, every {shape.STRIDE}th before",
        "blocks left visible": ", ".join(f"{_seen(n):.0%} at {n:,}" for n in shape.LENGTHS),
        "largest difference from the definition": f"{worst:.1e}",
        "threads": 1,
        "turns": repeats,
    }
    return Report("sharded_attention", machine.line(), versions, conditions, tuple(rows))


def _asked(call: str, tokens: int) -> bool:
    return call != "definition" or tokens in shape.DEFINED


def _seen(tokens: int) -> float:
    """Share of the blocks a query could see that its head's shard leaves."""
    table = shape.visible(tokens)
    blocks = table.shape[-1]
    return float(table.sum()) / (shape.HEADS * blocks * (blocks + 1) / 2)


def _disagreement(candidate: turns.Candidate, tokens: int) -> float:
    found = {}
    for call in ("ours", "definition"):
        path = turns.scratch() / f"sharded-{call}.npz"
        candidate.ask(save=f"{call}_{tokens}", to=str(path))
        with np.load(path) as saved:
            found[call] = saved["z"]
    worst = float(np.abs(found["ours"] - found["definition"]).max())
    if not worst <= TOLERANCE:
        raise SystemExit(f"the outputs differ by {worst:.2g} from the definition: not timed")
    return worst
