"""Everything of every feature in one pass, beside the forward and the encoding it stands on, and
beside SAEDashboard on the same weights, dictionary and tokens.

Bars: a pass costs at most 1.25 times forward and encoding; a gallery of 65,536 features opens and
sorts in a second. No time is reported unless densities and largest activations agree with
SAEDashboard's to 1e-4.
"""

import statistics
from collections.abc import Sequence

import numpy as np

from benchmarks import machine, turns
from benchmarks.peers import forward_shape
from benchmarks.peers.gallery_shape import FEW, MORE, RELU
from benchmarks.report import Report, Row

TOLERANCE = 1e-4
PEER = "sae-dashboard"
MODULES = {"ours": "benchmarks.peers.gallery_ours", PEER: "benchmarks.peers.gallery_sae_dashboard"}
SMALL = "embedded, 2,048 features"
LARGE = f"GPT-2 small, {RELU:,} features (ReLU)"
WIDE = "GPT-2 small, 24,576 features (TopK 32)"
READY = "65,536 features"
BASE = "forward to the site and codes"
COUNTED = "ours: every batch read and counted"
# (peer, call) -> group, name in the table, what it is compared with, what was aimed at
CALLS = {
    ("ours", "embedded encode"): (SMALL, BASE, "", ""),
    ("ours", "embedded batches"): (SMALL, COUNTED, BASE, "≤ 1.25"),
    ("ours", "embedded gallery"): (SMALL, "ours: the whole gallery, its files too", BASE, "≤ 1.25"),
    ("ours", "relu encode"): (LARGE, BASE, "", ""),
    ("ours", "relu gallery"): (LARGE, "ours: the whole gallery, its files too", BASE, ""),
    (PEER, "few"): (LARGE, f"SAEDashboard: {FEW} features", "", ""),
    (PEER, "more"): (LARGE, f"SAEDashboard: {MORE} features", "", ""),
    ("ours", "topk encode"): (WIDE, BASE, "", ""),
    ("ours", "topk batches"): (WIDE, COUNTED, BASE, "≤ 1.25"),
    ("ours", "wide open"): (READY, "open, then one page sorted", "", "≤ 1000"),
    ("ours", "wide page"): (READY, "one page, sorted and filtered", "", ""),
}
BATCH = 256  # features for which SAEDashboard runs the model once more, its default


def run(*, repeats: int, threads: Sequence[int], allow_load: bool) -> Report:
    """One thread, as the pages run them."""
    del threads
    before = machine.busy_cores()
    versions = machine.versions()
    folder = forward_shape.make(turns.scratch() / "gpt2-small-random")
    with turns.candidates(MODULES, "1", str(folder)) as running:
        for candidate in running.values():
            versions |= candidate.versions
        difference = _disagreement(running)
        samples = turns.interleaved(running, list(CALLS), repeats, warm_up=0)
    calm = max(before, machine.busy_cores()) <= machine.BUSY_LIMIT or allow_load
    rows = [
        Row(group, name, tuple(each.cpu_ms), each.steady_wall(calm), against, bar)
        for each, (group, name, against, bar) in zip(samples.values(), CALLS.values(), strict=True)
    ]
    least = {pair: min(each.cpu_ms) for pair, each in samples.items()}
    one = (least[PEER, "more"] - least[PEER, "few"]) / (MORE - FEW)
    start = least[PEER, "few"] - FEW * one
    whole = -(-RELU // BATCH) * start + RELU * one
    conditions = {
        "text": "1,024 contexts of the built-in corpus; 8 × 128 random tokens for GPT-2 small",
        "largest difference of a density or an activation from SAEDashboard": f"{difference:.1e}",
        "SAEDashboard for one more feature": f"{one:.0f} ms",
        f"for all {RELU:,} features": f"{whole / 1000:.0f} s, worked out from the two rows, "
        f"{whole / least['ours', 'relu gallery']:.0f} times ours",
        "turns": repeats,
        "median of opening and sorting": f"{_median(samples['ours', 'wide open']):.0f} ms elapsed",
    }
    return Report("gallery", machine.line(), versions, conditions, tuple(rows))


def _median(samples: turns.Samples) -> float:
    return statistics.median(samples.wall_ms)


def _disagreement(running: dict[str, turns.Candidate]) -> float:
    """Largest difference between the two, as a share of the largest number of its kind."""
    paths = {peer: turns.scratch() / f"gallery-{peer}.npz" for peer in MODULES}
    running["ours"].ask(save="relu gallery", to=str(paths["ours"]))
    running[PEER].ask(save="few", to=str(paths[PEER]))
    with np.load(paths["ours"]) as ours, np.load(paths[PEER]) as theirs:
        worst = max(
            float(np.abs(ours[name][:FEW] - theirs[name]).max() / np.abs(theirs[name]).max())
            for name in theirs.files
        )
    if not worst <= TOLERANCE:
        raise SystemExit(f"the statistics differ by {worst:.2g} from SAEDashboard's: not timed")
    return worst
