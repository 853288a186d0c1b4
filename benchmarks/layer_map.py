"""A map of 5,000 states of width 768, against umap-learn.

Bar: the first click within 3 s on two cores with everything: neighbours, layout, trustworthiness
of the map, of principal components and of random places, silhouettes under shuffled labels. No
time is reported unless the map's trustworthiness is at most 0.01 below umap-learn's.
"""

from collections.abc import Sequence
from importlib.metadata import version

import numpy as np

from benchmarks import machine, turns
from benchmarks.report import Report, Row

TOLERANCE = 0.01
K = 15
MODULE = {"ours": "benchmarks.peers.layer_map_ours"}
THEIRS = "umap-learn `fit_transform`, compiled"
FIRST = "umap-learn, first call of a process, import and compilation"
CALLS = {
    "ours": ("ours: map by neighbours with every score and control", THEIRS, "≤ 3,000 wall"),
    "layout": ("ours: neighbours and layout alone", THEIRS, ""),
    "classes": ("ours: map by class means with every score and control", THEIRS, "≤ 3,000 wall"),
    "umap": (THEIRS, "", ""),
}


def run(*, repeats: int, threads: Sequence[int], allow_load: bool) -> Report:
    """See the module."""
    before, rows = machine.busy_cores(), []
    trusted: dict[str, float] = {}
    for number in threads:
        group = f"{number} thread" + "s" * (number > 1)
        with turns.candidates(MODULE, str(number)) as running:
            trusted = trusted or _trust(running["ours"])
            samples = turns.interleaved(running, [("ours", call) for call in CALLS], repeats)
        calm = max(before, machine.busy_cores()) <= machine.BUSY_LIMIT or allow_load
        rows += [
            Row(group, name, tuple(each.cpu_ms), each.steady_wall(calm), against, bar)
            for each, (name, against, bar) in zip(samples.values(), CALLS.values(), strict=True)
        ]
        rows += [
            Row(group, "ours, first call of a process, import", _first("ours", number), (), FIRST),
            Row(group, FIRST, _first("umap", number)),
        ]
    conditions = {
        "states": "5,000 × 768, 30 classes, 12 shared directions, noise; 2 dimensions",
        "trustworthiness (15 neighbours)": ", ".join(
            f"{name} {value:.3f}" for name, value in trusted.items()
        ),
        "turns": repeats,
    }
    return Report("layer_map", machine.line(), _versions(), conditions, tuple(rows))


def _versions() -> dict[str, str]:
    return {**machine.versions(), "umap-learn": version("umap-learn")}


def _trust(candidate: turns.Candidate) -> dict[str, float]:
    """Trustworthiness of both maps by scikit-learn, which is neither's own."""
    from sklearn.manifold import trustworthiness

    from benchmarks.peers.layer_map_ours import cloud

    found = {}
    for name, call in (("ours", "ours"), ("umap-learn", "umap")):
        places = _saved(candidate, call)["places"]
        found[name] = float(trustworthiness(cloud(), places, n_neighbors=K))
    if found["ours"] < found["umap-learn"] - TOLERANCE:
        raise SystemExit(f"trustworthiness {found}: not timed")
    return found


def _first(which: str, threads: int) -> tuple[float, ...]:
    """Processor milliseconds from the start of a process to its first map."""
    with turns.candidates(MODULE, str(threads)) as running:
        return (1_000 * float(_saved(running["ours"], f"first {which}")["cpu_s"]),)


def _saved(candidate: turns.Candidate, call: str) -> dict[str, np.ndarray]:
    path = turns.scratch() / f"layer-map-{call.replace(' ', '-')}.npz"
    candidate.ask(save=call, to=str(path))
    with np.load(path) as stored:
        return {name: stored[name] for name in stored.files}
