"""The thread that computes: one per device, one piece of work at a time."""

import atexit
import logging
import secrets
import threading

from core.queue import Progress, Queue, Work
from core.spec.errors import Cancelled, Error

log = logging.getLogger("eidoscope")

GOODBYE_SECONDS = 2.0
OUT_OF_MEMORY = (
    "There was not enough memory for this; shorten the text, choose a smaller model "
    "or close other work, then ask again."
)


class Worker:
    """A queue and the daemon thread that serves it, started with the first work."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.queue = Queue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def start(self) -> None:
        """Make sure the thread lives."""
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(
                    target=self._serve, name=f"eidoscope-{self.name}", daemon=True
                )
                self._thread.start()
                atexit.register(self.stop_all, GOODBYE_SECONDS)

    def is_current(self) -> bool:
        """Is this the worker's own thread?"""
        return threading.current_thread() is self._thread

    def stop_all(self, timeout: float) -> bool:
        """Abandon all work and wait until the worker rests; False when it does not in time."""
        self.queue.abandon_all()
        return self.is_current() or self.queue.idle(timeout)

    def _serve(self) -> None:
        while True:
            self._do(self.queue.take())

    def _between(self) -> None:
        """Bulk work gives way: answer what was asked for now, in this same thread."""
        while work := self.queue.take_interactive():
            self._do(work)

    def _do(self, work: Work) -> None:
        """Run one piece of work to its end; whatever it raises ends here."""
        progress = Progress(work, self._between)
        function = work.function
        try:
            result = function(progress) if function else None
        except Cancelled:
            self.queue.finish(work, "cancelled")
        except BaseException as fault:  # noqa: BLE001  the edge: the thread outlives any work
            error, error_id = explain(fault, work.label)
            self.queue.finish(work, "failed", error=error, error_id=error_id)
        else:
            self.queue.finish(work, "done", result=result)
            self._follow_up(work, progress)
        self.queue.leave(work)

    def _follow_up(self, work: Work, progress: Progress) -> None:
        try:
            for function in progress.afterwards:
                function()
        except BaseException:  # the answer is delivered; only the log needs to know
            log.exception("after %r, which was answered", work.label)


def explain(fault: BaseException, label: str) -> tuple[str, str]:
    """(sentence for the visitor, id of the log entry or "") of what stopped the work."""
    if isinstance(fault, Error):
        return str(fault), ""
    if _is_out_of_memory(fault):
        log.warning("out of memory in %r: %s", label, fault)
        return OUT_OF_MEMORY, ""
    error_id = secrets.token_hex(4)
    log.error("work %r failed (id %s)", label, error_id, exc_info=fault)
    return f"Something went wrong (id {error_id}); the log has the details.", error_id


def _is_out_of_memory(fault: BaseException) -> bool:
    """Python's, torch's for a GPU (told by name, torch is not imported), torch's for the CPU."""
    return (
        isinstance(fault, MemoryError)
        or any(kind.__name__ == "OutOfMemoryError" for kind in type(fault).__mro__)
        or (isinstance(fault, RuntimeError) and "DefaultCPUAllocator" in str(fault))
    )


_workers: dict[str, Worker] = {}
_workers_lock = threading.Lock()


def worker(device: str = "device") -> Worker:
    """The worker of a device; today there is one device, which the engine chooses."""
    with _workers_lock:
        if device not in _workers:
            _workers[device] = Worker(device)
        return _workers[device]
