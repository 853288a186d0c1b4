"""What was measured of single checkpoints, on disk: a run that was killed goes on behind them.

A file is written under a temporary name and renamed; one that cannot be read is made again.
"""

import contextlib
import hashlib
import json
import logging
import os
import secrets
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from core.home import home

log = logging.getLogger("eidoscope")

MOST = 512  # files; those not used for longest go first
MOST_BYTES = 1_000_000_000  # of all files
SUFFIX = ".row.npz"
Row = Mapping[str, np.ndarray]


def folder() -> Path:
    """Where the files lie."""
    return home() / "training"


def key(fingerprint: str, asked: Mapping[str, Any]) -> str:
    """The name of what these weights answer to this question, by content."""
    plain = json.dumps([fingerprint, asked], sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.sha256(plain.encode()).hexdigest()


def read(name: str) -> Row | None:
    """The row behind this key, None where there is none that can be read."""
    path = folder() / f"{name}{SUFFIX}"
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            found = {part: stored[part] for part in stored.files}
        os.utime(path)
    except FileNotFoundError:
        return None
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as fault:
        log.warning("a checkpoint's row cannot be read and is made again: %s", fault)
        return None
    return found


def write(name: str, row: Row) -> None:
    """Keep the row; a disk that refuses is logged and else changes nothing."""
    path = folder() / f"{name}{SUFFIX}"
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            np.savez(file, allow_pickle=False, **row)
        part.replace(path)
        _tidy(path.parent)
    except OSError as fault:
        log.warning("a checkpoint's row is not kept on disk: %s", fault)
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def kept(name: str, make: Callable[[], Row]) -> Row:
    """The row behind this key: from disk, else made and kept."""
    found = read(name)
    if found is None:
        found = make()
        write(name, found)
    return found


def _tidy(place: Path) -> None:
    """Let the files go that were not used for longest, and what killed runs left half written."""
    files = sorted(place.iterdir(), key=lambda one: -one.stat().st_mtime)
    total = 0
    for number, path in enumerate(files):
        size = path.stat().st_size
        total += size
        if number and (number >= MOST or total > MOST_BYTES):
            path.unlink(missing_ok=True)
