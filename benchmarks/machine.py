"""The machine a benchmark ran on, and whether it was left alone."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

import psutil

BUSY_LIMIT = 0.5  # cores at work for others, above which a wall time says nothing
PACKAGES = ("torch", "transformers", "streamlit", "plotly", "numpy")


def processor() -> str:
    """The processor's name as the system tells it."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def line() -> str:
    """One line: processor, cores, memory, system."""
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{processor()}, {psutil.cpu_count()} cores, {memory:.0f} GiB, "
        f"{platform.system()}, Python {platform.python_version()}"
    )


def versions() -> dict[str, str]:
    """Versions of the packages that decide the speed."""
    return {name: version(name) for name in PACKAGES}


def busy_cores() -> float:
    """Cores at work for others, over one second in which we do nothing."""
    return psutil.cpu_percent(interval=1.0) / 100 * (psutil.cpu_count() or 1)


def load() -> float:
    """The load average of the last minute."""
    return os.getloadavg()[0]
