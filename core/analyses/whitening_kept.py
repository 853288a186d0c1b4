"""Spectra of large unembeddings on disk, so that a model is whitened once and not once a process.

A file is written under a temporary name and renamed; one that cannot be read is made again.
"""

import contextlib
import logging
import os
import secrets
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from core.home import home

log = logging.getLogger("eidoscope")

LARGE = 2e11  # multiplications of a covariance: smaller ones are done in some ten seconds
MOST = 4  # files; the one not used for longest goes first
SUFFIX = ".whitening.npz"

# mean [d], eigenvalues [d] smallest first, eigenvectors [d, d] in columns, rows behind them
Spectrum = tuple[np.ndarray, np.ndarray, np.ndarray, int]


def folder() -> Path:
    """Where the files lie."""
    return home() / "whitening"


def kept(key: str, d: int, n_rows: int, make: Callable[[], Spectrum]) -> Spectrum:
    """The spectrum behind this key: from disk where it is large and there, else made.

    A disk that refuses is logged and else changes nothing.
    """
    if n_rows * d**2 < LARGE:
        return make()
    path = folder() / f"{key}{SUFFIX}"
    found = _read(path, d)
    if found is None:
        found = make()
        _write(path, found)
    return found


def _read(path: Path, d: int) -> Spectrum | None:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            mean, values, vectors = (stored[name] for name in ("mean", "values", "vectors"))
            n = int(stored["n"])
        os.utime(path)
    except FileNotFoundError:
        return None
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as fault:
        log.warning("whitening %s cannot be read and is made again: %s", path.name, fault)
        return None
    if mean.shape != (d,) or values.shape != (d,) or vectors.shape != (d, d):
        return None
    return mean, values, vectors, n


def _write(path: Path, found: Spectrum) -> None:
    mean, values, vectors, n = found
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            np.savez(file, mean=mean, values=values, vectors=vectors, n=np.array(n))
        part.replace(path)
        files = sorted(path.parent.glob(f"*{SUFFIX}"), key=lambda one: one.stat().st_mtime)
        for old in files[:-MOST]:
            old.unlink(missing_ok=True)
    except OSError as fault:
        log.warning("whitening is not kept on disk: %s", fault)
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
