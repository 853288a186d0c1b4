"""Candidates in processes of their own that take turns: A B C A B C ..."""

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from benchmarks.peers.environments import ROOT, python_of
from benchmarks.report import SPREAD_LIMIT, spread


@dataclass
class Samples:
    """Milliseconds of one candidate's calls, in the order they ran."""

    cpu_ms: list[float] = field(default_factory=list)
    wall_ms: list[float] = field(default_factory=list)

    def steady_wall(self, quiet: bool) -> tuple[float, ...]:
        """The elapsed times, or nothing when the machine was busy or they scatter too much."""
        return tuple(self.wall_ms) if quiet and spread(self.wall_ms) <= SPREAD_LIMIT else ()


class Candidate:
    """One process that answers `benchmarks.peers.worker.serve`."""

    def __init__(self, peer: str, module: str, arguments: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            [str(python_of(peer)), "-m", module, *arguments],
            cwd=ROOT,
            env={**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.versions: dict[str, str] = self._read(module)["versions"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)

    def ask(self, **what: str) -> dict[str, Any]:
        """One request, one answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
        return self._read(str(what))

    def _read(self, asked: str) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a candidate ended at {asked}; run its module by hand to see why")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def candidates(modules: dict[str, str], *arguments: str) -> Iterator[dict[str, Candidate]]:
    """A process for each peer of {peer: module}."""
    with ExitStack() as stack:
        yield {
            peer: stack.enter_context(Candidate(peer, module, arguments))
            for peer, module in modules.items()
        }


def interleaved(
    running: dict[str, Candidate], calls: Sequence[tuple[str, str]], repeats: int, warm_up: int = 1
) -> dict[tuple[str, str], Samples]:
    """`repeats` turns of all (peer, call) pairs, after `warm_up` turns that are thrown away."""
    found = {pair: Samples() for pair in calls}
    for turn in range(warm_up + repeats):
        for peer, call in calls:
            answer = running[peer].ask(time=call)
            if turn >= warm_up:
                found[peer, call].cpu_ms.append(answer["cpu_s"] * 1_000)
                found[peer, call].wall_ms.append(answer["wall_s"] * 1_000)
    return found


def scratch() -> Path:
    """Where benchmarks keep models and arrays between runs; not in the repository."""
    folder = ROOT / "build" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
