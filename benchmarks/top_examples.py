"""Statistics of every neuron over a text in one pass, against the forward they come from.

Bar: at most 1.25 times the plain Hugging Face forward over the same batches, the writing of the
result to disk included. No time is reported unless the lists, means and ends agree to 1e-4 with
those of keeping every activation.
"""

from collections.abc import Sequence

import numpy as np

from benchmarks import machine, turns
from benchmarks.report import Report, Row

TOLERANCE = 1e-4
MODULES = {"ours": "benchmarks.peers.top_examples_ours"}
PLAIN = "plain Hugging Face forward, all logits"
# call -> name in the table, what it is compared with, what was aimed at
CALLS = {
    "forward": (PLAIN, "", ""),
    "stream": ("ours: the last stream, no logits", PLAIN, ""),
    "neurons": ("ours: every neuron read, no logits", PLAIN, ""),
    "ours": ("ours: statistics of every neuron", PLAIN, "≤ 1.25"),
    "kept": ("every activation kept, then sorted", PLAIN, ""),
}
CONTEXTS = 256


def run(*, repeats: int, threads: Sequence[int], allow_load: bool) -> Report:
    """One thread: the shipped model gains nothing from a second."""
    del threads
    before = machine.busy_cores()
    versions = machine.versions()
    with turns.candidates(MODULES, "1") as running:
        versions |= running["ours"].versions
        difference = _disagreement(running["ours"])
        pairs = [("ours", call) for call in CALLS]
        samples = turns.interleaved(running, pairs, repeats)
    calm = max(before, machine.busy_cores()) <= machine.BUSY_LIMIT or allow_load
    rows = [
        Row("1 thread", name, tuple(each.cpu_ms), each.steady_wall(calm), against, bar)
        for each, (name, against, bar) in zip(samples.values(), CALLS.values(), strict=True)
    ]
    conditions = {
        "model": "embedded, 6 layers × 512 neurons",
        "text": f"{CONTEXTS} contexts of the built-in corpus",
        "largest relative difference from keeping every activation": f"{difference:.1e}",
        "turns": repeats,
    }
    return Report("top_examples", machine.line(), versions, conditions, tuple(rows))


def _disagreement(candidate: turns.Candidate) -> float:
    """Largest difference from the obvious way, as a share of the largest number of its kind."""
    folder = turns.scratch()
    paths = {call: folder / f"top-examples-{call}.npz" for call in ("ours", "kept")}
    for call, path in paths.items():
        candidate.ask(save=call, to=str(path))
    with np.load(paths["ours"]) as ours, np.load(paths["kept"]) as kept:
        worst = max(
            float(np.abs(ours[name] - kept[name]).max() / np.abs(kept[name]).max())
            for name in kept.files
        )
    if not worst <= TOLERANCE:
        raise SystemExit(f"the statistics differ by {worst:.2g} from the obvious way: not timed")
    return worst
