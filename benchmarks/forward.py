"""Reading every residual stream of one text, against the plain forward and the peers.

Bar: at most 1.03 times the plain Hugging Face forward. No time is reported unless all
candidates give the same logits and the same residual streams to 1e-4.
"""

from collections.abc import Sequence

import numpy as np

from benchmarks import machine, turns
from benchmarks.peers import forward_shape
from benchmarks.report import Report, Row

TOLERANCE = 1e-4
MODULES = {
    "ours": "benchmarks.peers.forward_ours",
    "transformer-lens": "benchmarks.peers.forward_transformer_lens",
    "nnsight": "benchmarks.peers.forward_nnsight",
}
PLAIN, EAGER = "plain Hugging Face (sdpa)", "plain Hugging Face (eager)"
# (peer, call) -> name in the table, what it is compared with, what was aimed at
CALLS = {
    ("ours", "plain"): (PLAIN, "", ""),
    ("ours", "plain_eager"): (EAGER, PLAIN, ""),
    ("ours", "residuals"): ("ours: every residual stream, all logits", PLAIN, "≤ 1.03"),
    ("ours", "forward"): ("ours: nothing read", PLAIN, "1.00"),
    ("ours", "residuals_last"): ("ours: every residual stream, last logits", PLAIN, ""),
    ("ours", "residuals_only"): ("ours: every residual stream, no logits", PLAIN, ""),
    ("ours", "hidden_states"): ("Hugging Face `output_hidden_states`", PLAIN, ""),
    ("transformer-lens", "forward"): ("TransformerLens forward", EAGER, ""),
    ("transformer-lens", "residuals"): ("TransformerLens `run_with_cache`, residuals", EAGER, ""),
    ("transformer-lens", "everything"): ("TransformerLens `run_with_cache`, all", EAGER, ""),
    ("nnsight", "forward"): ("nnsight trace, logits", PLAIN, ""),
    ("nnsight", "residuals"): ("nnsight trace, residuals saved", PLAIN, ""),
}
COMPARED = {"ours": "residuals", "transformer-lens": "residuals", "nnsight": "residuals"}


def run(*, repeats: int, threads: Sequence[int], allow_load: bool) -> Report:
    """All candidates take turns, for each number of threads."""
    folder = forward_shape.make(turns.scratch() / "gpt2-small-random")
    rows: list[Row] = []
    versions, refused, difference = machine.versions(), [], 0.0
    for count in threads:
        if count > 1 and machine.busy_cores() > machine.BUSY_LIMIT and not allow_load:
            refused.append(str(count))
            continue
        with turns.candidates(MODULES, str(folder), str(count)) as running:
            for candidate in running.values():
                versions |= candidate.versions
            difference = max(difference, _disagreement(running))
            before = machine.busy_cores()
            samples = turns.interleaved(running, tuple(CALLS), repeats)
        calm = max(before, machine.busy_cores()) <= machine.BUSY_LIMIT
        rows += _rows(samples, f"{count} thread" + "s" * (count > 1), calm or allow_load)
    conditions = {
        "tokens": f"1 × {forward_shape.N_TOKENS}",
        "model": "GPT-2 small in shape, random weights, float32",
        "largest difference of any number between candidates": f"{difference:.1e}",
        "turns": repeats,
    }
    if refused:
        # Threads that wait for a core that others use spin, and that counts as processor time.
        conditions["not measured on a busy machine"] = f"{' and '.join(refused)} threads"
    return Report("forward", machine.line(), versions, conditions, tuple(rows))


def _rows(samples: dict[tuple[str, str], turns.Samples], group: str, wall: bool) -> list[Row]:
    return [
        Row(group, name, tuple(samples[pair].cpu_ms), samples[pair].steady_wall(wall), against, bar)
        for pair, (name, against, bar) in CALLS.items()
    ]


def _disagreement(running: dict[str, turns.Candidate]) -> float:
    """Largest difference from the plain forward over logits and streams; refuses above 1e-4."""
    folder = turns.scratch()
    paths = {}
    for peer, call in {"plain": "hidden_states", **COMPARED}.items():
        paths[peer] = folder / f"{peer}.npz"
        running["ours" if peer == "plain" else peer].ask(save=call, to=str(paths[peer]))
    with np.load(paths["plain"]) as truth:
        worst = {peer: _largest(truth, paths[peer]) for peer in COMPARED}
    for peer, difference in worst.items():
        if not difference <= TOLERANCE:
            raise SystemExit(
                f"{peer} differs from the plain forward by {difference:.2g}: not timed"
            )
    return max(worst.values())


def _largest(truth: "np.lib.npyio.NpzFile", path: object) -> float:
    with np.load(str(path)) as found:
        if set(found.files) != set(truth.files):
            raise SystemExit(f"{path} holds {sorted(found.files)}, not {sorted(truth.files)}")
        return max(float(np.abs(truth[name] - found[name]).max()) for name in truth.files)
