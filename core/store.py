"""Answers by the hash of their question: memory first, then one file each on disk.

A file is written under a temporary name and renamed, and carries a checksum of what it
holds, so whatever happened to the process or the disk an answer is right or it is absent.
Several processes may share the folder.
"""

import contextlib
import hashlib
import logging
import os
import platform
import re
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from core.home import home
from core.spec.errors import Error

if TYPE_CHECKING:
    from core.results.base import Result  # brings pandas, which a page's first paint can spare

log = logging.getLogger("eidoscope")

SUFFIX = ".answer"
TEMPORARY = ".part"
STALE_SECONDS = 3600.0  # a temporary file this old belongs to nobody
RETRY_SECONDS = 60.0  # a full disk may have room again
RECOUNT = 100  # writes between two counts of the folder, which other processes fill too
KEEP_SHARE = 0.9  # evict down to this share of the limit, so not every write evicts
_KEY = re.compile(r"[0-9a-f]{64}")
# Process numbers mean something on one machine only, and the folder may be shared by several.
HOST = hashlib.sha256(platform.node().encode()).hexdigest()[:8]


@dataclass(frozen=True, slots=True)
class StoreStats:
    """What the store holds and how it fared since the process began; sizes in bytes.

    `disk_*` count the folder as last surveyed plus what this process wrote since.
    """

    folder: str
    memory_entries: int
    memory_bytes: int
    memory_limit: int
    disk_entries: int
    disk_bytes: int
    disk_limit: int
    memory_hits: int
    disk_hits: int
    misses: int
    damaged: int
    evicted: int
    fault: str  # why answers are not written to disk, "" when they are


class Store:
    """Answers under 64-digit hexadecimal keys. May be used from any thread.

    Answers handed out are shared: their arrays are read-only.
    """

    def __init__(self, folder: Path, memory_bytes: int, disk_bytes: int) -> None:
        self.folder = folder
        self._memory_limit, self._disk_limit = memory_bytes, disk_bytes
        self._lock = threading.Lock()  # guards memory and counts, never held over disk work
        self._memory: OrderedDict[str, tuple["Result", int]] = OrderedDict()
        self._memory_bytes = 0
        self._count = dict.fromkeys(("memory_hits", "disk_hits", "misses", "damaged", "evicted"), 0)
        self._disk_lock = threading.RLock()  # guards what we believe about the folder
        self._disk_entries = self._disk_bytes = 0
        self._writes_until_recount = 0
        self._fault = ""
        self._retry_at = 0.0

    def get(self, key: str) -> "Result | None":
        """The answer, or None when there is none, or none that can be trusted."""
        path = self._path(key)
        with self._lock:
            held = self._memory.get(key)
            if held:
                self._memory.move_to_end(key)
                self._count["memory_hits"] += 1
        if held:
            _touch(path)
            return held[0]
        found = self._read(key, path)
        self._add("misses" if found is None else "disk_hits")
        if found is not None:
            self.remember(key, found)
        return found

    def put(self, key: str, result: "Result") -> None:
        """Hold the answer in memory and on disk."""
        self.remember(key, result)
        self.keep(key, result)

    def remember(self, key: str, result: "Result") -> None:
        """Hold the answer in memory, letting go of the ones not used for longest."""
        from core.results.packed import freeze, size

        cost = size(freeze(result))
        with self._lock:
            self._forget(key)
            if cost > self._memory_limit:
                return
            self._memory[key] = (result, cost)
            self._memory_bytes += cost
            while self._memory_bytes > self._memory_limit:
                self._forget(next(iter(self._memory)))

    def keep(self, key: str, result: "Result") -> None:
        """Write the answer to disk. A disk that refuses is logged once and tried again later."""
        from core.results.packed import pack

        path = self._path(key)
        if time.monotonic() < self._retry_at:
            return
        data = pack(key, result)
        if len(data) > self._disk_limit:
            return
        try:
            self._survey()
            _write(path, data)
        except OSError as error:
            self._give_up_disk(error)
            return
        with self._disk_lock:
            self._fault = ""
            self._disk_entries += 1
            self._disk_bytes += len(data)
            self._writes_until_recount -= 1
            if self._disk_bytes > self._disk_limit:
                self._trim()

    def stats(self) -> StoreStats:
        with contextlib.suppress(OSError):
            self._survey()
        with self._disk_lock, self._lock:
            return StoreStats(
                folder=str(self.folder),
                memory_entries=len(self._memory),
                memory_bytes=self._memory_bytes,
                memory_limit=self._memory_limit,
                disk_entries=self._disk_entries,
                disk_bytes=self._disk_bytes,
                disk_limit=self._disk_limit,
                fault=self._fault,
                **self._count,
            )

    def clear(self) -> None:
        """Forget every answer, on disk too."""
        with self._lock:
            self._memory.clear()
            self._memory_bytes = 0
        with self._disk_lock:
            for path, _ in _entries(self.folder):
                _remove(path)
            self._disk_entries = self._disk_bytes = 0

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise ValueError(f"not a key: {key[:80]!r}; expected 64 hexadecimal digits")
        return self.folder / f"{key}{SUFFIX}"

    def _read(self, key: str, path: Path) -> "Result | None":
        try:
            data = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            log.warning("a stored answer cannot be read: %s", error)
            return None
        from core.results.packed import unpack

        try:
            found = unpack(key, data)
        except Error as error:
            log.warning("stored answer %s is dropped and computed again: %s", key[:12], error)
            self._add("damaged")
            _remove(path)
            return None
        _touch(path)
        return found

    def _forget(self, key: str) -> None:
        _, cost = self._memory.pop(key, (None, 0))
        self._memory_bytes -= cost

    def _add(self, name: str, n: int = 1) -> None:
        with self._lock:
            self._count[name] += n

    def _give_up_disk(self, error: OSError) -> None:
        with self._disk_lock:
            if not self._fault:
                log.warning("answers are kept in memory only: %s", error)
            self._fault = f"answers are kept in memory only: {error.strerror or error}"
            self._retry_at = time.monotonic() + RETRY_SECONDS

    def _survey(self) -> None:
        """Make the folder, drop what dead processes left, count; at first and now and then."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._disk_lock:
            if self._writes_until_recount > 0:
                return
            for path in self.folder.glob(f".*{TEMPORARY}"):
                if _is_orphan(path):
                    _remove(path)
            entries = list(_entries(self.folder))
            self._disk_entries = len(entries)
            self._disk_bytes = sum(entry.st_size for _, entry in entries)
            self._writes_until_recount = RECOUNT

    def _trim(self) -> None:
        """Remove the answers used longest ago; a file's time is that of its last use."""
        entries = sorted(_entries(self.folder), key=lambda entry: entry[1].st_mtime_ns)
        total = sum(entry.st_size for _, entry in entries)
        evicted = 0
        for path, entry in entries:
            if total <= KEEP_SHARE * self._disk_limit:
                break
            _remove(path)
            total -= entry.st_size
            evicted += 1
        self._disk_entries, self._disk_bytes = len(entries) - evicted, total
        self._add("evicted", evicted)


def _write(path: Path, data: bytes) -> None:
    name = f".{path.stem}.{HOST}.{os.getpid()}.{secrets.token_hex(4)}{TEMPORARY}"
    temporary = path.with_name(name)
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        _remove(temporary)
        raise


def _is_orphan(path: Path) -> bool:
    """Was this temporary file left by a process that is gone?"""
    import psutil  # only needed here, once in a hundred writes

    try:
        _, _, host, process, _, _ = path.name.split(".")
        if host == HOST and not psutil.pid_exists(int(process)):
            return True
        return time.time() - path.stat().st_mtime > STALE_SECONDS
    except (OSError, ValueError):
        return False


def _entries(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """The answers on disk; those another process removes meanwhile are passed over."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as found:
        for entry in found:
            if entry.name.endswith(SUFFIX):
                with contextlib.suppress(FileNotFoundError):
                    yield Path(entry.path), entry.stat()


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):  # gone already, or a disk that cannot be written
        path.unlink()


def _touch(path: Path) -> None:
    with contextlib.suppress(OSError):
        os.utime(path)


_stores: dict[Path, Store] = {}
_stores_lock = threading.Lock()


def store() -> Store:
    """The one store of this process, in `home()`.

    $EIDOSCOPE_STORE_MEMORY_MB (256) and $EIDOSCOPE_STORE_DISK_MB (2000) bound it.
    """
    folder = home() / "store"
    with _stores_lock:
        if folder not in _stores:
            _stores.clear()
            _stores[folder] = Store(
                folder,
                memory_bytes=_megabytes("EIDOSCOPE_STORE_MEMORY_MB", 256),
                disk_bytes=_megabytes("EIDOSCOPE_STORE_DISK_MB", 2000),
            )
        return _stores[folder]


def _megabytes(name: str, default: int) -> int:
    text = os.environ.get(name) or str(default)
    if not text.isdecimal():
        raise Error(f"{name} should be a whole number of megabytes, not {text[:40]!r}")
    return int(text) * 1_000_000
