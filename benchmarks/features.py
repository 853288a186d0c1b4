"""A sparse dictionary's encode and decode, and statistics of its features, against the product.

Bars: encode at most 1.05 times the bare product, also with topk; statistics a tenth of the encode.
No time is reported unless SAELens gives the same activations to 1e-4.
"""

from collections.abc import Sequence

import numpy as np

from benchmarks import machine, turns
from benchmarks.peers import features_shape as shape
from benchmarks.report import Report, Row

OURS, PEER = "benchmarks.peers.features_ours", "benchmarks.peers.features_sae_lens"
TOLERANCE = 1e-4
FEW, MANY = "bare product, 256 tokens", "bare product, 2,048 tokens"
ONE = "bare product, 1 token, 192 → 2,048 (of 1,000)"
DENSE = "SAELens `decode`"
# (peer, call) -> name in the table, what it is compared with, what was aimed at
CALLS = {
    ("ours", "bare_256"): (FEW, "", ""),
    ("ours", "topk_256"): (f"ours: the {shape.K} largest", FEW, "≤ 1.05"),
    ("ours", "relu_256"): ("ours: ReLU", FEW, "≤ 1.05"),
    ("ours", "jumprelu_256"): ("ours: JumpReLU", FEW, "≤ 1.05"),
    ("sae-lens", "topk_256"): ("SAELens `TopKSAE.encode`", FEW, ""),
    ("sae-lens", "relu_256"): ("SAELens `StandardSAE.encode`", FEW, ""),
    ("sae-lens", "decode"): (DENSE, "", ""),
    ("ours", "decode"): ("ours: decode", DENSE, ""),
    ("ours", "bare_2048"): (MANY, "", ""),
    ("ours", "topk_2048"): (f"ours: the {shape.K} largest, 2,048 tokens", MANY, "≤ 1.05"),
    ("ours", "relu_2048"): ("ours: ReLU, 2,048 tokens", MANY, "≤ 1.05"),
    ("ours", "jumprelu_2048"): ("ours: JumpReLU, 2,048 tokens", MANY, "≤ 1.05"),
    ("sae-lens", "topk_2048"): ("SAELens `TopKSAE.encode`, 2,048 tokens", MANY, ""),
    ("ours", "statistics"): ("ours: statistics of 2,048 tokens", MANY, "≤ 0.10"),
    ("ours", "bare_small"): (ONE, "", ""),
    ("ours", "topk_small"): ("ours: the 16 largest, 1 token (of 1,000)", ONE, ""),
}
SAME = (("topk_256", "topk_256"), ("relu_256", "relu_256"), ("decode", "decode"))


def run(*, repeats: int, threads: Sequence[int], allow_load: bool) -> Report:
    """All candidates take turns, for each number of threads."""
    rows: list[Row] = []
    versions, loads, refused = machine.versions(), [machine.busy_cores()], []
    worst = 0.0
    for count in threads:
        if count > 1 and loads[-1] > machine.BUSY_LIMIT and not allow_load:
            refused.append(str(count))
            continue
        with (
            turns.candidates({"ours": OURS}, str(count)) as ours,
            turns.candidates({"sae-lens": PEER}, str(count)) as peer,
        ):
            running = {**ours, **peer}
            for candidate in running.values():
                versions |= candidate.versions
            worst = max(worst, _apart(ours["ours"], peer["sae-lens"]))
            loads.append(machine.busy_cores())
            samples = turns.interleaved(running, tuple(CALLS), repeats)
        loads.append(machine.busy_cores())
        calm = max(loads[-2:]) <= machine.BUSY_LIMIT or allow_load
        group = f"{count} thread" + "s" * (count > 1)
        rows += [
            Row(group, name, tuple(samples[pair].cpu_ms), samples[pair].steady_wall(calm), *rest)
            for pair, (name, *rest) in CALLS.items()
        ]
    conditions = {
        "dictionary": f"{shape.D_IN} → {shape.N_FEATURES:,}, float32, random",
        "largest difference from SAELens": f"{worst:.1e}",
        "turns": repeats,
    }
    if max(loads) > machine.BUSY_LIMIT:
        conditions["cores busy with other work"] = f"up to {max(loads):.1f}, so upper bounds"
    if refused:
        conditions["not measured on a busy machine"] = f"{' and '.join(refused)} threads"
    return Report("features", machine.line(), versions, conditions, tuple(rows))


def _apart(ours: turns.Candidate, peer: turns.Candidate) -> float:
    """Largest difference of any activation or reconstruction; refuses above the tolerance."""
    worst = 0.0
    for own, theirs in SAME:
        paths = [turns.scratch() / f"features_{name}.npz" for name in ("ours", "peer")]
        ours.ask(save=own, to=str(paths[0]))
        peer.ask(save=theirs, to=str(paths[1]))
        with np.load(paths[0]) as one, np.load(paths[1]) as other:
            worst = max(worst, float(np.abs(one["values"] - other["values"]).max()))
    if not worst <= TOLERANCE:
        raise SystemExit(f"SAELens gives other activations, {worst:.2g} apart: not timed")
    return worst
