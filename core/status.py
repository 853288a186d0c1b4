"""What the machine and the program are doing, as plain data for the status page and the chip.

Nothing heavy is imported to find out: what is not loaded yet is said to be so.
"""

import functools
import importlib.metadata
import os
import platform
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import psutil

from core import jobs
from core.home import home, hosted
from core.jobs import JobView
from core.store import StoreStats, store

PACKAGES = ("torch", "transformers", "streamlit", "plotly", "numpy")
GIB = 2**30


@dataclass(frozen=True, slots=True)
class Status:
    """One look at everything; sizes in bytes."""

    device: str  # in words
    compute_threads: int  # the engine's, 0 before it is loaded
    threads: int  # of the process
    process_bytes: int  # resident memory of this process
    available_bytes: int  # memory the machine can still give
    total_bytes: int
    jobs: tuple[JobView, ...]
    store: StoreStats
    versions: tuple[tuple[str, str], ...]  # (package, version), "" where not installed
    home: str
    hosted: bool
    models: tuple[str, ...]  # loaded now
    kernels: tuple[tuple[str, str, str], ...]  # (operation, implementation, reason)


def snapshot() -> Status:
    """Where things stand now. Cheap enough to ask every second."""
    memory = psutil.virtual_memory()
    torch, pool = _loaded("torch"), _loaded("core.models.pool")
    dispatch = _loaded("kernels.dispatch")
    return Status(
        device=_device(torch),
        compute_threads=torch.get_num_threads() if torch else 0,
        threads=threading.active_count(),
        process_bytes=psutil.Process().memory_info().rss,
        available_bytes=memory.available,
        total_bytes=memory.total,
        jobs=tuple(jobs.snapshot()),
        store=store().stats(),
        versions=_versions(),
        home=str(home()),
        hosted=hosted(),
        models=tuple(pool.loaded_names()) if pool else (),
        kernels=tuple(dispatch.choices()) if dispatch else (),
    )


def clear_answers() -> None:
    """Forget every stored answer, in memory and on disk."""
    store().clear()


def _loaded(name: str) -> ModuleType | None:
    """The module if some thread has imported it, all of it."""
    module = sys.modules.get(name)
    if module is None or getattr(module.__spec__, "_initializing", False):
        return None
    return module


def _device(torch: ModuleType | None) -> str:
    wanted = os.environ.get("EIDOSCOPE_DEVICE", "")
    if torch is None:
        asked = f"{wanted} (asked for)" if wanted else "chosen with the first model"
        return f"{asked}; {_processor()}"
    chosen = wanted or ("cuda" if torch.cuda.is_available() else "cpu")
    if not chosen.startswith("cuda") or not torch.cuda.is_available():
        return f"{chosen}: {_processor()}"
    card = torch.cuda.get_device_properties(chosen)
    return f"{chosen}: {card.name}, {card.total_memory / GIB:.0f} GiB"


@functools.cache
def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor() or platform.machine()
    return f"{name}, {_cores()}"


def _cores() -> str:
    """Cores this process may use, which in a container may be fewer than the machine has."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{usable} core" + ("" if usable == 1 else "s")


@functools.cache
def _versions() -> tuple[tuple[str, str], ...]:
    found = [("python", platform.python_version())]
    for package in PACKAGES:
        try:
            found.append((package, importlib.metadata.version(package)))
        except importlib.metadata.PackageNotFoundError:
            found.append((package, ""))
    return tuple(found)
