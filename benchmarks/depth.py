"""All probes of a depth question after the states were read, against a scikit-learn loop.

Bars: 24 layers x 20 concepts x 5 folds within 2 s on two cores for 2,000 texts of width 768; with
the capture at most 1.10 times the capture. No time is reported unless the accuracy of every concept
is within 0.5 points of scikit-learn's, run to convergence.
"""

from collections.abc import Sequence

import numpy as np

from benchmarks import machine, turns
from benchmarks.report import Report, Row

TOLERANCE = 0.005
MODULES = {"ours": "benchmarks.peers.depth_ours"}
CAPTURE = "forward of 10 of the 2,000 texts, 20 tokens each"
THEIRS = "scikit-learn `LogisticRegression` loop, one layer"
CALLS = {
    "capture": (CAPTURE, "", ""),
    "ours": ("ours: 24 layers × 20 concepts × 5 folds", "", "≤ 2,000 wall on 2 threads"),
    "one": ("ours: one layer of them", THEIRS, ""),
    "sklearn": (THEIRS, "", ""),
}


def run(*, repeats: int, threads: Sequence[int], allow_load: bool) -> Report:
    """See the module."""
    before, rows = machine.busy_cores(), []
    versions, difference, share = machine.versions(), 0.0, 0.0
    for number in threads:
        with turns.candidates(MODULES, str(number)) as running:
            versions |= running["ours"].versions
            difference = difference or _difference(running["ours"])
            samples = turns.interleaved(running, [("ours", call) for call in CALLS], repeats)
        calm = max(before, machine.busy_cores()) <= machine.BUSY_LIMIT or allow_load
        group = f"{number} thread" + "s" * (number > 1)
        rows += [
            Row(group, name, tuple(each.cpu_ms), each.steady_wall(calm), against, bar)
            for each, (name, against, bar) in zip(samples.values(), CALLS.values(), strict=True)
        ]
        capture, ours = (min(samples["ours", call].cpu_ms) for call in ("capture", "ours"))
        share = share or 1 + ours / (2_000 / 10 * capture)
    conditions = {
        "states": "2,000 × 768, spectrum 1 / rank, planted concepts from hard to separable",
        "largest difference of an accuracy from scikit-learn run to convergence": (
            f"{100 * difference:.2f} points"
        ),
        "capture and probes over the capture of all 2,000 texts": f"{share:.3f}",
        "turns": repeats,
    }
    return Report("depth", machine.line(), versions, conditions, tuple(rows))


def _difference(candidate: turns.Candidate) -> float:
    """Largest difference of the accuracy of a concept, mean over folds, in one layer."""
    folder = turns.scratch()
    found = []
    for call in ("one", "exact"):
        path = folder / f"depth-{call}.npz"
        candidate.ask(save=call, to=str(path))
        with np.load(path) as stored:
            found.append(stored["accuracy"][0])
    worst = float(np.abs(found[0] - found[1]).max())
    if not worst <= TOLERANCE:
        raise SystemExit(f"accuracies differ by {100 * worst:.2f} points: not timed")
    return worst
