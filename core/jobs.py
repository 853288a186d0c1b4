"""Ask for work and watch it: the pages' door to the engine. Imports no torch."""

import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from core import answers
from core.queue import Progress, State, Work
from core.spec.request import Request
from core.worker import Worker, worker

__all__ = ["Job", "JobView", "Progress", "cancel_all", "run", "snapshot", "submit"]


class Job:
    """One asker's hold on a piece of work that others may hold too.

    The state is "queued", "working", "done", "failed" or "cancelled". Read it as often as
    you like; nothing here waits except `wait`.
    """

    __slots__ = ("_cancelled", "_holder", "_work", "_worker")

    def __init__(self, worker: Worker, work: Work, holder: threading.Event) -> None:
        self._worker = worker
        self._work = work
        self._holder = holder  # set when there is nothing to wait for any more
        self._cancelled = False

    @property
    def request(self) -> Request | None:
        return self._work.request

    @property
    def key(self) -> str:
        return self._work.key

    @property
    def label(self) -> str:
        return self._work.label

    @property
    def state(self) -> State:
        return "cancelled" if self._cancelled else self._work.state

    @property
    def share(self) -> float:
        """How much is done, 0 to 1."""
        return self._work.share

    @property
    def note(self) -> str:
        return self._work.note

    @property
    def partial(self) -> Any:
        """The first part of the answer, plain data; None before there is one."""
        return self._work.partial

    @property
    def result(self) -> Any:
        """The answer once the state is "done", else None."""
        return self._work.result

    @property
    def error(self) -> str:
        """One sentence for the visitor when the state is "failed"."""
        return self._work.error

    @property
    def error_id(self) -> str:
        """Finds the traceback in the log; "" when there is none."""
        return self._work.error_id

    @property
    def seconds(self) -> float:
        """Running time: so far, or in all once it ended."""
        return self._work.seconds

    @property
    def finished(self) -> bool:
        return self.state in ("done", "failed", "cancelled")

    def cancel(self) -> None:
        """Let go. The work stops when nobody else holds it; what is finished stays so."""
        if not self.finished:
            self._cancelled = True
            self._worker.queue.release(self._work, self._holder)

    def wait(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds; True when finished."""
        if self._worker.is_current():
            raise RuntimeError("work in the worker cannot wait for other work: it would forever")
        return self._holder.wait(timeout)


@dataclass(frozen=True, slots=True)
class JobView:
    """One line of the list of jobs; `seconds` of running time."""

    label: str
    state: State
    share: float
    note: str
    seconds: float
    bulk: bool


def submit(request: Request, *, bulk: bool = False) -> Job:
    """Ask. A stored answer is there at once; the same question in the queue is joined."""
    label = f"{request.analysis.replace('_', ' ')} on {request.model}"
    found = answers.known(request)
    if found is not None:
        return _answered(request, label, found)
    function = partial(answers.answer, request)
    return _enqueue(Work(request.key(), label, function, bulk=bulk, request=request))


def run(
    label: str,
    function: Callable[[Progress], Any],
    *,
    bulk: bool = False,
    key: str | None = None,
) -> Job:
    """Have any work done in the worker; two with the same `key` are one. Nothing is stored."""
    return _enqueue(Work(key or secrets.token_hex(16), label, function, bulk=bulk))


def snapshot() -> list[JobView]:
    """What is being worked on and what waits, in order."""
    return [
        JobView(work.label, work.state, work.share, work.note, work.seconds, work.bulk)
        for work in worker().queue.listed()
    ]


def cancel_all(timeout: float = 0.0) -> bool:
    """Stop all work of everybody, waiting at most `timeout` seconds; True when all is still."""
    return worker().stop_all(timeout)


def _enqueue(work: Work) -> Job:
    serving = worker()
    job = Job(serving, *serving.queue.join(work))
    serving.start()
    return job


def _answered(request: Request, label: str, found: Any) -> Job:
    holder = threading.Event()
    holder.set()
    work = Work(request.key(), label, None, request=request, share=1.0, state="done", result=found)
    return Job(worker(), work, holder)
