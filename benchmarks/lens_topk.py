"""All neurons of a layer read through the unembedding, against the bare matrix product.

Bar: at most 1.15 times the product, at most 200 MB more memory, one neuron within 10 ms. No time
is reported unless the plain way finds the same tokens.
"""

from collections.abc import Sequence

import numpy as np

from benchmarks import machine, turns
from benchmarks.report import Report, Row

MODULES = {"ours": "benchmarks.peers.lens_ours"}
BARE, BARE_ONE = "the bare products", "one direction: the bare product"
# call -> name in the table, what it is compared with, what was aimed at
CALLS = {
    "bare": (BARE, "", ""),
    "ours": ("ours: ten highest and ten lowest tokens", BARE, "≤ 1.15"),
    "chunks": ("chunks of 256 directions, `torch.topk` twice", BARE, ""),
    "bare_one": (BARE_ONE, "", ""),
    "ours_one": ("one direction: ours", BARE_ONE, "≤ 10 ms"),
}
SAME = 0.9999  # share of equal ids: neighbours closer than a rounding error may change places


def run(*, repeats: int, threads: Sequence[int], allow_load: bool) -> Report:
    """All candidates take turns, for each number of threads; then all neurons once."""
    rows: list[Row] = []
    loads = [machine.busy_cores()]
    versions, refused = machine.versions(), []
    for count in threads:
        if count > 1 and machine.busy_cores() > machine.BUSY_LIMIT and not allow_load:
            refused.append(str(count))
            continue
        with turns.candidates(MODULES, str(count)) as running:
            _agree(running["ours"])
            loads.append(machine.busy_cores())
            samples = turns.interleaved(running, [("ours", call) for call in CALLS], repeats)
        loads.append(machine.busy_cores())
        calm = max(loads[-2:]) <= machine.BUSY_LIMIT
        group = f"{count} thread" + "s" * (count > 1)
        for call, (name, against, bar) in CALLS.items():
            one = samples["ours", call]
            wall = one.steady_wall(calm or allow_load)
            rows.append(Row(group, name, tuple(one.cpu_ms), wall, against, bar))
    conditions = {
        "directions": "3,072 (one layer), float32, random",
        "unembedding": "50,257 × 768",
        "turns": repeats,
        "all 36,864 neurons once": _everything(),
    }
    if max(loads) > machine.BUSY_LIMIT:
        conditions["cores busy with other work"] = f"up to {max(loads):.1f}, so upper bounds"
    if refused:
        # Threads that wait for a core that others use spin, and that counts as processor time.
        conditions["not measured on a busy machine"] = f"{' and '.join(refused)} threads"
    return Report("lens_topk", machine.line(), versions, conditions, tuple(rows))


def _agree(candidate: turns.Candidate) -> None:
    """Refuses to time answers that differ from the plain way's."""
    paths = {call: turns.scratch() / f"lens_{call}.npz" for call in ("ours", "chunks")}
    for call, path in paths.items():
        candidate.ask(save=call, to=str(path))
    with np.load(paths["ours"]) as ours, np.load(paths["chunks"]) as plain:
        same = min(float((ours[ids] == plain[ids]).mean()) for ids in ("1", "3"))
        apart = max(float(np.abs(ours[each] - plain[each]).max()) for each in ("0", "2"))
    if same < SAME or apart > 1e-3:
        raise SystemExit(f"{same:.2%} of the tokens are the same, scores {apart:.2g} apart")


def _everything() -> str:
    """Seconds and memory of one pass over all neurons, in a process of its own."""
    path = turns.scratch() / "lens_all.npz"
    with turns.candidates(MODULES, "1") as running:
        running["ours"].ask(save="all", to=str(path))
    with np.load(path) as found:
        return (
            f"{found['cpu_s']:.1f} s of processor time with 1 thread, "
            f"{found['grown_mb']:.0f} MB more memory at most (all scores: 7,400 MB)"
        )
