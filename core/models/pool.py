"""The models loaded in this process: built once, shared by everybody, bounded by memory."""

import gc
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from core.models import door, library, sources
from core.models.memory import TooLargeError
from core.models.sources import Progress
from core.spec.errors import Cancelled, Error
from core.spec.request import ModelRef

if TYPE_CHECKING:
    from core.models.loaded import Loaded

MAX_MODELS = 4
Key = tuple[ModelRef, str, str]  # with device and device map as texts


@dataclass
class _Entry:
    """One model on its way in, or here. Only the thread that made it fills it."""

    folder: Path
    ready: threading.Event = field(default_factory=threading.Event)
    loaded: "Loaded | None" = None
    fault: BaseException | None = None
    stamp: str = ""
    used: float = 0.0  # monotonic seconds of the last request

    def stale(self) -> bool:
        """The files on disk are no longer those that were loaded."""
        try:
            return bool(self.loaded) and door.stamp(self.folder) != self.stamp
        except OSError:  # the folder is gone; what is loaded stays usable
            return False


# What the libraries made while they were imported is never garbage. Set apart, it no longer
# costs every full collection 0.3 s during which no page answers.
gc.freeze()

_entries: dict[Key, _Entry] = {}
_changed = threading.Lock()
_building = threading.Lock()  # one model at a time: two at once may not fit though each would


def get(
    ref: ModelRef,
    device: str | None = None,
    dtype: str = "",
    progress: Progress | None = None,
    device_map: Any = None,
) -> "Loaded":
    """The model, loaded and proved; whoever asks meanwhile waits for the same one.

    A model whose files changed on disk is loaded anew. When the next one would not fit, the
    least recently used idle one has to go; at most `MAX_MODELS` are kept.
    """
    if dtype:
        ref = replace(ref, dtype=dtype)
    key = (ref, device or "auto", repr(device_map))
    entry, mine = _claim(key, None)
    while True:
        if entry is None:
            # Outside any lock: a download takes minutes and gives way to other work.
            folder = sources.resolve(ref, progress, library.device_name(key[1]))
            entry, mine = _claim(key, folder)
        elif mine:
            return _build(key, entry, device_map, progress)
        else:
            loaded = _await(entry, progress)
            if loaded is not None:
                return loaded
            entry, mine = _claim(key, None)


def apart(ref: ModelRef, device: str, progress: Progress | None = None) -> "Loaded":
    """A model for one look: it takes no place in the pool, so no other has to go for it."""
    from core.models.build import build

    folder = sources.resolve(ref, progress, device)
    with _one_at_a_time(progress):
        return build(_open(ref, device, None, progress, folder), ref)


def _claim(key: Key, folder: Path | None) -> tuple[_Entry | None, bool]:
    """The entry of a model, and whether the caller has to build it; None before it is found."""
    with _changed:
        entry = _entries.get(key)
        if entry is not None and not entry.stale():
            return entry, False
        _entries.pop(key, None)
        if folder is None:
            return None, False
        _entries[key] = _Entry(folder)
        return _entries[key], True


def _await(entry: _Entry, progress: Progress | None) -> "Loaded | None":
    """What another thread builds; None when its asker gave up, and it must be begun anew."""
    while not entry.ready.wait(0.1):
        if progress:
            progress.check()
    entry.used = time.monotonic()
    if entry.fault is None or isinstance(entry.fault, Cancelled):
        return entry.loaded
    if isinstance(entry.fault, Error):
        raise type(entry.fault)(str(entry.fault))
    raise entry.fault


def _build(key: Key, entry: _Entry, device_map: Any, progress: Progress | None) -> "Loaded":
    from core.models.build import build

    ref, device, _ = key
    try:
        with _one_at_a_time(progress):
            while _count() > MAX_MODELS and _evict():
                pass
            opened = _open(ref, device, device_map, progress, entry.folder)
            entry.stamp = opened.stamp
            entry.loaded = build(opened, ref)
    except BaseException as fault:
        entry.fault = fault
        with _changed:
            if _entries.get(key) is entry:
                del _entries[key]
        raise
    finally:
        entry.used = time.monotonic()
        entry.ready.set()
    return entry.loaded


@contextmanager
def _one_at_a_time(progress: Progress | None) -> Iterator[None]:
    while not _building.acquire(timeout=0.1):
        if progress:
            progress.check()
    try:
        yield
    finally:
        _building.release()


def _open(
    ref: ModelRef, device: str, device_map: Any, progress: Progress | None, folder: Path
) -> library.Opened:
    """Open the model; while it does not fit, let idle ones go."""
    while True:
        try:
            return library.open_model(
                ref, device=device, device_map=device_map, progress=progress, folder=folder
            )
        except TooLargeError:
            if not _evict():
                raise


def _count() -> int:
    with _changed:
        return len(_entries)


def _evict() -> bool:
    """Let the least recently used idle model go; False when there is none."""
    with _changed:
        idle = [key for key, entry in _entries.items() if entry.loaded and _idle(entry.loaded)]
        if not idle:
            return False
        del _entries[min(idle, key=lambda key: _entries[key].used)]
    _free()
    return True


def _idle(loaded: "Loaded") -> bool:
    if not loaded.lock.acquire(blocking=False):
        return False
    loaded.lock.release()
    return True


def _free() -> None:
    """Give memory back; modules hold each other in circles, so the collector is needed."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def loaded_names() -> tuple[str, ...]:
    """Names of the loaded models, the most recently used first."""
    with _changed:
        here = [(entry.used, key[0]) for key, entry in _entries.items() if entry.loaded]
    return tuple(str(ref) for _, ref in sorted(here, key=lambda pair: -pair[0]))


def release(ref: ModelRef) -> None:
    """Let a model go, on every device; who works with it keeps it until done."""
    with _changed:
        for key in [key for key, entry in _entries.items() if key[0] == ref and entry.loaded]:
            del _entries[key]
    _free()
