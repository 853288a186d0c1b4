"""The side of a benchmark that runs in a candidate's own process.

It is asked for one call at a time, so that candidates in different processes can take turns.
Runs in every peer's environment: standard library and numpy only.
"""

import gc
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]


def serve(
    calls: Mapping[str, Callable[[], Any]],
    shown: Callable[[Any], Arrays],
    versions: Mapping[str, str],
) -> None:
    """Answer requests on the standard input until it closes, one JSON object per line.

    {"time": name}              one call: {"cpu_s", "wall_s"}, CPU time over all threads
    {"save": name, "to": path}  one call: its arrays, as `shown` gives them, to an .npz file
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not mix with the answers

    def answer(**what: Any) -> None:
        answers.write(json.dumps(what) + "\n")
        answers.flush()

    answer(ready=True, versions=dict(versions))
    for line in sys.stdin:
        asked = json.loads(line)
        if "save" in asked:
            arrays: dict[str, Any] = dict(shown(calls[asked["save"]]()))
            np.savez(asked["to"], **arrays)
            answer(saved=True)
        else:
            cpu_s, wall_s = _timed(calls[asked["time"]])
            answer(cpu_s=cpu_s, wall_s=wall_s)


def _timed(call: Callable[[], Any]) -> tuple[float, float]:
    call()  # whoever comes first after another process would pay for its cold caches
    gc.collect()
    cpu, wall = time.process_time(), time.perf_counter()
    result = call()
    elapsed = time.process_time() - cpu, time.perf_counter() - wall
    del result
    return elapsed
