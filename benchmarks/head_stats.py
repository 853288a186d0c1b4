"""Scores of every head of a model during one forward, against that forward alone.

Bar: at most 1.10 times the plain Hugging Face forward. No time is reported unless the sums equal
those over kept patterns to 1e-4, and TransformerLens' detector says the same to 1e-3 where it
defines the same number.
"""

from collections.abc import Sequence

import numpy as np

from benchmarks import machine, turns
from benchmarks.peers import forward_shape, heads_shape
from benchmarks.report import Report, Row
from core.home import EMBEDDED

SUMS, SCORES = 1e-4, 1e-3  # tolerances
OURS, PEER = "benchmarks.peers.heads_ours", "benchmarks.peers.heads_transformer_lens"
PLAIN = "plain Hugging Face (sdpa), all logits"
# (peer, call) -> name in the table, what it is compared with, what was aimed at
CALLS = {
    ("ours", "forward"): (PLAIN, "", ""),
    ("ours", "ours"): ("ours: every score of every head, all logits", PLAIN, "≤ 1.10"),
    ("ours", "ours_alone"): ("ours: every score of every head, no logits", PLAIN, ""),
    ("ours", "kept"): ("three scores, every pattern kept (eager)", PLAIN, ""),
    ("transformer-lens", "detect"): ("TransformerLens `detect_head`, three scores", PLAIN, ""),
}


def run(*, repeats: int, threads: Sequence[int], allow_load: bool) -> Report:
    """All candidates take turns, on one thread: the sums are made where the forward is."""
    del threads
    folder = str(forward_shape.make(turns.scratch() / "gpt2-small-random"))
    versions = machine.versions()
    before = machine.busy_cores()
    with (
        turns.candidates({"ours": OURS}, folder, "1") as ours,
        turns.candidates(
            {"transformer-lens": PEER}, folder, "1", str(EMBEDDED / "embedded")
        ) as peer,
    ):
        running = {**ours, **peer}
        for candidate in running.values():
            versions |= candidate.versions
        sums, scores = _sums(ours["ours"]), _scores(ours["ours"], peer["transformer-lens"])
        samples = turns.interleaved(running, tuple(CALLS), repeats)
    calm = max(before, machine.busy_cores()) <= machine.BUSY_LIMIT or allow_load
    rows = [
        Row("1 thread", name, tuple(samples[pair].cpu_ms), samples[pair].steady_wall(calm), *rest)
        for pair, (name, *rest) in CALLS.items()
    ]
    conditions = {
        "tokens": f"{heads_shape.N_ROWS} × {heads_shape.N_TOKENS}, half of each row repeated",
        "model": "GPT-2 small in shape, random weights, float32",
        "largest difference from sums over kept patterns": f"{sums:.1e}",
        "largest difference from TransformerLens on the embedded model": f"{scores:.1e}",
        "turns": repeats,
        f"all {heads_shape.N_ALL} rows once": _everything(folder),
        f"memory that one text of {heads_shape.LONG:,} tokens adds": _memory(folder),
    }
    return Report("head_stats", machine.line(), versions, conditions, tuple(rows))


def _saved(candidate: turns.Candidate, call: str) -> dict[str, np.ndarray]:
    path = turns.scratch() / f"heads-{call}.npz"
    candidate.ask(save=call, to=str(path))
    with np.load(path) as found:
        return dict(found)


def _sums(candidate: turns.Candidate) -> float:
    """Largest difference between our scores and those of whole patterns; refuses above 1e-4."""
    ours, kept = _saved(candidate, "ours"), _saved(candidate, "kept")
    worst = max(float(np.abs(ours[kind] - kept[kind]).max()) for kind in heads_shape.KINDS)
    if not worst <= SUMS:
        raise SystemExit(f"the scores differ by {worst:.2g} from the kept patterns: not timed")
    return worst


def _scores(candidate: turns.Candidate, peer: turns.Candidate) -> float:
    """Largest difference between our numbers and TransformerLens'; refuses above 1e-3."""
    ours, theirs = _saved(candidate, "agree"), _saved(peer, "agree")
    worst = max(float(np.abs(ours[name] - theirs[name]).max()) for name in ours)
    if not worst <= SCORES:
        raise SystemExit(f"TransformerLens' detector says something else by {worst:.2g}")
    return worst


def _everything(folder: str) -> str:
    """Processor seconds of all rows, with and without the scores."""
    with turns.candidates({"ours": OURS}, folder, "1") as running:
        forward, ours = (
            float(_saved(running["ours"], call)["cpu_s"]) for call in ("all_forward", "all_ours")
        )
    return f"forward {forward:.1f} s of processor time, with scores {ours:.1f} s"


def _memory(folder: str) -> str:
    """What one long text adds to a process of its own, for each way."""
    found = {}
    for call in ("long_forward", "long_ours", "long_kept"):
        with turns.candidates({"ours": OURS}, folder, "1") as running:
            found[call] = float(_saved(running["ours"], call)["grown_mb"])
    return (
        f"forward {found['long_forward']:.0f} MB, with scores {found['long_ours']:.0f} MB, "
        f"every pattern kept {found['long_kept']:.0f} MB"
    )
