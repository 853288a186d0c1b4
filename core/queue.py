"""What waits to be computed, in which order, and who still wants it.

Every change of a piece of work's fate happens here, under one lock; its fields may be read
without. Whoever asks for something already asked for joins it as another holder.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from core.spec.errors import Cancelled
from core.spec.request import Request

State = Literal["queued", "working", "done", "failed", "cancelled"]


@dataclass(eq=False, slots=True)
class Work:
    """One piece of work, shared by all who asked for the same thing.

    `holders` are the events, one per asker, set when there is nothing to wait for any more.
    `abandoned` means that no holder is left: the work stops at its next check.
    """

    key: str
    label: str
    function: "Callable[[Progress], Any] | None"
    bulk: bool = False
    request: Request | None = None
    state: State = "queued"
    share: float = 0.0
    note: str = ""
    partial: Any = None
    result: Any = None
    error: str = ""
    error_id: str = ""
    began: float = 0.0  # monotonic seconds, 0 before
    ended: float = 0.0
    abandoned: bool = False
    holders: set[threading.Event] = field(default_factory=set)

    @property
    def seconds(self) -> float:
        """Running time: so far, or in all once it ended."""
        return (self.ended or time.monotonic()) - self.began if self.began else 0.0


class Progress:
    """What running work reports to, and where it learns that nobody wants it any more."""

    __slots__ = ("_between", "_work", "afterwards")

    def __init__(self, work: Work, between: Callable[[], None]) -> None:
        self._work = work
        self._between = between
        self.afterwards: list[Callable[[], None]] = []  # runs in the worker, answer delivered

    def check(self) -> None:
        """Between layers and tokens: raises `Cancelled` when no holder is left. Nothing else."""
        if self._work.abandoned:
            raise Cancelled

    def step(self, share: float, note: str = "") -> None:
        """Between batches, no hook armed: done so far (0 to 1), a few words.

        Raises `Cancelled` as `check` does. Bulk work waits here while what was asked for in
        the meantime is answered.
        """
        self.check()
        self._work.share, self._work.note = min(1.0, max(0.0, share)), note
        if self._work.bulk:
            self._between()
            self.check()

    def tell(self, note: str) -> None:
        """A few words in the middle of something: never gives way, never raises."""
        self._work.note = note

    def publish(self, partial: Any) -> None:
        """Show a first part of the answer; plain data that is not changed afterwards."""
        self._work.partial = partial


class Queue:
    """Work in order: asked-for-now before bulk, else first come, first served."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: dict[bool, deque[Work]] = {False: deque(), True: deque()}  # by `bulk`
        self._running: list[Work] = []  # innermost last: bulk work and what it gave way to
        self._by_key: dict[str, Work] = {}  # what can still be joined

    def join(self, offered: Work) -> tuple[Work, threading.Event]:
        """Take the work in, or join the same work already here; (work, holder)."""
        holder = threading.Event()
        with self._changed:
            work = self._by_key.get(offered.key)
            if work is None:
                work = self._by_key[offered.key] = offered
                self._waiting[work.bulk].append(work)
                self._changed.notify_all()
            elif work.bulk and not offered.bulk:
                self._promote(work)
            work.holders.add(holder)
        return work, holder

    def release(self, work: Work, holder: threading.Event) -> None:
        """This holder lets go. The last one takes the work with it."""
        with self._changed:
            work.holders.discard(holder)
            holder.set()
            if not work.holders:
                self._abandon(work)

    def abandon_all(self) -> None:
        """Stop everything, whoever holds it."""
        with self._changed:
            for work in [*self._waiting[False], *self._waiting[True], *self._running]:
                self._abandon(work)

    def take(self) -> Work:
        """The next work, now "working"; waits until there is some."""
        with self._changed:
            self._changed.wait_for(lambda: any(self._waiting.values()))
            return self._begin(bulk=not self._waiting[False])

    def take_interactive(self) -> Work | None:
        """The next work that is not bulk, if any waits."""
        with self._changed:
            return self._begin(bulk=False) if self._waiting[False] else None

    def finish(
        self, work: Work, state: State, *, result: Any = None, error: str = "", error_id: str = ""
    ) -> None:
        """Deliver: the work has its end, the holders learn of it."""
        with self._changed:
            work.result, work.error, work.error_id = result, error, error_id
            self._end(work, state)

    def leave(self, work: Work) -> None:
        """The worker is through with the work, with what comes after delivery too."""
        with self._changed:
            self._running.remove(work)
            self._changed.notify_all()

    def listed(self) -> list[Work]:
        """What is being worked on, then what waits, in the order it will be taken."""
        with self._changed:
            working = [work for work in reversed(self._running) if work.state == "working"]
            return [*working, *self._waiting[False], *self._waiting[True]]

    def idle(self, timeout: float) -> bool:
        """Wait until nothing waits and nothing runs; False when `timeout` seconds passed."""
        with self._changed:
            return self._changed.wait_for(
                lambda: not self._running and not any(self._waiting.values()), timeout
            )

    def _begin(self, *, bulk: bool) -> Work:
        work = self._waiting[bulk].popleft()
        work.state, work.began = "working", time.monotonic()
        self._running.append(work)
        return work

    def _promote(self, work: Work) -> None:
        """Somebody wants this bulk work now."""
        work.bulk = False
        if work.state == "queued":
            self._waiting[True].remove(work)
            self._waiting[False].append(work)
            self._changed.notify_all()

    def _abandon(self, work: Work) -> None:
        """Stop it; who asks for the same from now on gets new work, not one that is dying."""
        work.abandoned = True
        if self._by_key.get(work.key) is work:
            del self._by_key[work.key]
        if work.state == "queued":
            self._waiting[work.bulk].remove(work)
            self._end(work, "cancelled")
            self._changed.notify_all()

    def _end(self, work: Work, state: State) -> None:
        work.ended = time.monotonic()
        work.function = None  # may hold much
        work.state = state  # last: who reads "done" finds the result
        if self._by_key.get(work.key) is work:
            del self._by_key[work.key]
        for holder in work.holders:
            holder.set()
