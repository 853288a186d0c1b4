"""The models and the work a person had open lately, kept in `home()/recent.json`.

Standard library only. The file is a convenience: when it is missing or damaged, nothing is
recent. In hosted mode nothing is written, since visitors would read each other's sentences.
"""

import json
import os
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.home import home, hosted
from core.spec.request import ModelRef

VERSION = 1
MAX_MODELS = 8
MAX_WORK = 8
MAX_SESSION = 100_000  # characters; longer work is not listed, a session file keeps it

_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Work:
    """One piece of recent work: where it was done and its session text."""

    tab: str  # one line per browser tab: new work of the same tab replaces the old
    page: str
    title: str
    saved: float  # seconds since 1970
    session: str


def models() -> tuple[ModelRef, ...]:
    """Models that loaded, the last one first."""
    return tuple(ModelRef(*entry) for entry in _read()["models"])


def work() -> tuple[Work, ...]:
    """Recent work, the last first."""
    return tuple(Work(*entry) for entry in _read()["work"])


def remember_model(model: ModelRef) -> None:
    """Put a model that loaded at the head of the list."""
    entry = [model.name, model.revision, model.dtype]
    _put_first("models", entry, MAX_MODELS, same=lambda old: old == entry)


def remember_work(item: Work) -> None:
    """Put a piece of work at the head of the list; one entry per tab."""
    if len(item.session) <= MAX_SESSION:
        entry = [item.tab, item.page, item.title, item.saved, item.session]
        _put_first("work", entry, MAX_WORK, same=lambda old: old[0] == item.tab)


def forget() -> None:
    """Empty both lists."""
    with _lock:
        _file().unlink(missing_ok=True)


def _file() -> Path:
    return home() / "recent.json"


def _put_first(name: str, entry: list[Any], limit: int, same: Any) -> None:
    if hosted():
        return
    with _lock:
        lists = _read()
        lists[name] = [entry, *(old for old in lists[name] if not same(old))][:limit]
        _write(lists)


def _read() -> dict[str, list[list[Any]]]:
    """Both lists, each entry checked; what cannot be read is as if it were not there."""
    empty: dict[str, list[list[Any]]] = {"models": [], "work": []}
    try:
        plain = json.loads(_file().read_text())
    except (OSError, ValueError):
        return empty
    if hosted() or not isinstance(plain, dict) or plain.get("version") != VERSION:
        return empty
    kinds = {"models": (str, str, str), "work": (str, str, str, (int, float), str)}
    return {name: [e for e in _entries(plain, name) if _fits(e, kinds[name])] for name in kinds}


def _entries(plain: dict[str, Any], name: str) -> list[Any]:
    found = plain.get(name)
    return found if isinstance(found, list) else []


def _fits(entry: Any, kinds: tuple[Any, ...]) -> bool:
    return (
        isinstance(entry, list)
        and len(entry) == len(kinds)
        and all(isinstance(value, kind) for value, kind in zip(entry, kinds, strict=True))
    )


def _write(lists: dict[str, list[list[Any]]]) -> None:
    """To a temporary name, then renamed: a reader sees the old file or the new one."""
    target = _file()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=".recent-", suffix=".tmp")
    except OSError:
        return  # a home that cannot be written costs the list, not the work
    try:
        with os.fdopen(handle, "w") as file:
            json.dump({"version": VERSION, **lists}, file)
        os.replace(name, target)
    except OSError:
        Path(name).unlink(missing_ok=True)
