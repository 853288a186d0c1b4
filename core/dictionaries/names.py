"""Which dictionaries a model has, by name: those in its folder, and those a person has added.

No weights are read here. A name always means the same bytes: what was added is kept with the
fingerprint of its files, and answers are stored under the fingerprints of the dictionaries that
their question names.
"""

import contextlib
import hashlib
import json
import os
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.dictionaries import findings
from core.home import home
from core.models import door, sources
from core.models.header import shown
from core.spec.errors import Error
from core.spec.interventions import Control
from core.spec.request import ModelRef, Request

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,99}")
WEIGHTS = (".safetensors", ".npz", ".pt", ".pth")
TABLES = (
    "cfg.json",
    "config.json",
    "config.yaml",
    "hyperparams.json",
    "activation_scaler.json",
)
BELOW = "checkpoints"  # Llama Scope keeps its weights there
ADDED = ("dictionaries", ".names")  # below the home; no dictionary begins with a dot
OPTIONS = ("dictionary", "with_dictionary", "dictionaries")
# Analyses that ask all of a model's dictionaries when their question names none.
EVERY = ("dictionaries", "dictionary_report")
# Analyses that leave a dictionary behind under the name in their option `name`.
MAKES = ("train_dictionary", "fit_codebook")
# Analyses that do something and are done again whenever they are asked.
ACTS = ("add_dictionary", "name_feature")
MAX_NAMES = 1_000
_FEATURE = re.compile(r"\.feature\[([A-Za-z0-9][\w.\-]{0,99}):")


@dataclass(frozen=True)
class Entry:
    """One dictionary of a model; `reading` and `promised` (a fingerprint) only for added ones."""

    name: str
    path: Path
    added: bool = False
    reading: dict[str, Any] = field(default_factory=dict)
    promised: str = ""


def entries(folder: Path) -> dict[str, Entry]:
    """The dictionaries of the model in `folder`, by name; its own first."""
    found = {entry.name: entry for entry in _own(folder)}
    for entry in _added(folder):
        found.setdefault(entry.name, entry)
    return found


def _own(folder: Path) -> Iterator[Entry]:
    place = folder / "sae"
    if not place.is_dir():
        return
    for path in sorted(place.iterdir())[:MAX_NAMES]:
        if path.is_dir():
            if NAME.fullmatch(path.name) and files(path):
                yield Entry(path.name, path)
        elif path.suffix in WEIGHTS and NAME.fullmatch(path.stem):
            yield Entry(path.stem, path)


def _added(folder: Path) -> Iterator[Entry]:
    for path in sorted(_records(folder).glob("*.json"))[:MAX_NAMES]:
        try:
            plain = door.read_json(path)
            reading = plain["reading"]
            entry = Entry(plain["name"], Path(plain["path"]), True, reading, plain["fingerprint"])
        except (Error, KeyError, TypeError):
            continue  # a damaged record is as good as none; add the dictionary again
        if isinstance(reading, dict) and entry.name == path.stem and NAME.fullmatch(entry.name):
            yield entry


def _records(folder: Path) -> Path:
    """Where the names added for the model of a folder are kept."""
    key = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:24]
    return home().joinpath(*ADDED, key)


def files(path: Path) -> list[Path]:
    """The files that decide what a dictionary says, of a folder or a single file."""
    if path.is_file():
        beside = [path.with_name(f"{path.stem}_cfg.json"), path.with_name("config.yaml")]
        return [path, *(each for each in beside if each.is_file())]
    found = [each for each in _listed(path) if each.suffix in WEIGHTS or each.name in TABLES]
    found += [each for each in _listed(path / BELOW) if each.suffix in WEIGHTS]
    return found if any(each.suffix in WEIGHTS for each in found) else []


def _listed(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(each for each in folder.iterdir() if each.is_file())


def fingerprint(path: Path, reading: dict[str, Any] | None = None) -> str:
    """SHA-256 over the files and how they are read; a file is read once while unchanged."""
    whole = hashlib.sha256(json.dumps(reading or {}, sort_keys=True).encode())
    for each in files(path):
        whole.update(f"{each.name}\n{door.digest(each)}\n".encode())
    return whole.hexdigest()


def stamp_of(path: Path) -> str:
    """Names, sizes and times of the files: cheap, and new when one changes."""
    parts = []
    for each in files(path):
        status = each.stat()
        parts.append(f"{each.name}:{status.st_size}:{status.st_mtime_ns}")
    return "|".join(parts)


def keep(folder: Path, name: str, path: Path, reading: dict[str, Any]) -> Entry:
    """Note a dictionary under a name for the model of a folder. Raises `Error` if it is taken."""
    if not NAME.fullmatch(name):
        raise Error(
            f"{shown(name)} is no name for a dictionary: up to 100 letters, digits, dots, dashes "
            "and underscores, the first one a letter or digit"
        )
    if name in entries(folder):
        raise Error(f"this model has a dictionary {name!r} already; take another name")
    entry = Entry(name, path, True, dict(reading), fingerprint(path, reading))
    plain = {
        "name": name,
        "path": str(path),
        "reading": entry.reading,
        "fingerprint": entry.promised,
        "model": str(folder),
    }
    place = _records(folder)
    part = place / f".{name}.{secrets.token_hex(4)}.part"
    try:
        place.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(plain, indent=1))
        os.replace(part, place / f"{name}.json")
    except OSError as fault:
        raise Error(f"the name {name!r} cannot be kept: {fault.strerror or fault}") from None
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
    return entry


def keep_again(folder: Path, name: str, new: str, reading: dict[str, Any]) -> Entry:
    """The dictionary `name` once more under the name `new`, read otherwise. Raises `Error`."""
    entry = entries(folder).get(name)
    if entry is None:
        raise Error(f"there is no dictionary {shown(name)} for this model")
    return keep(folder, new, entry.path, entry.reading | reading)


def forget(folder: Path, name: str) -> None:
    """Let go of a name that was added; the files stay. Raises `Error`."""
    entry = entries(folder).get(name)
    if entry is None:
        raise Error(f"there is no dictionary {shown(name)} for this model")
    if not entry.added:
        raise Error(f"{name} lies in the model's own folder; take it out of {entry.path.parent}")
    (_records(folder) / f"{name}.json").unlink(missing_ok=True)


def asked(request: Request) -> tuple[str, ...]:
    """The dictionaries a question names, in options or in the sites of anything."""
    found: set[str] = set()
    for option in OPTIONS:
        value = request.option(option)
        found |= {value} if isinstance(value, str) and value else set()
        if isinstance(value, tuple):
            found |= {each for each in value if isinstance(each, str)}
    for change in request.interventions:
        place = (change.of if isinstance(change, Control) else change).site
        found |= {place.dictionary} if place.dictionary else set()
    for _, value in request.options:
        found |= set(_FEATURE.findall(_text(value)))
    return tuple(sorted(found))


def _text(value: Any) -> str:
    """All texts in an option's value, which may be nested."""
    if isinstance(value, str):
        return value
    return "\n".join(map(_text, value)) if isinstance(value, tuple) else ""


def stamp(request: Request) -> str:
    """Changes when a dictionary does that the question names, or what is known of it and shown;
    "" for a question without any.
    """

    def said(entry: Entry, _: Path) -> str:
        files_ = stamp_of(entry.path) + json.dumps(entry.reading)
        return files_ + findings.stamp(request, entry.path)

    return _over(request, said)


def salt(request: Request) -> str:
    """Fingerprints of the dictionaries that the question names, and what is known of them and
    shown; "" for none.
    """

    def said(entry: Entry, folder: Path) -> str:
        own = fingerprint(entry.path, entry.reading)
        return own + findings.salt(request, entry.path, own, door.fingerprint(folder))

    return _over(request, said)


def kept(request: Request) -> bool:
    """Is the dictionary still there that the question made? Without it an answer says nothing."""
    if request.analysis in ACTS:
        return False
    if request.analysis not in MAKES:
        return True
    entry = entries(_folder(request.model)).get(request.option("name"))
    return entry is not None and bool(files(entry.path))


def _over(request: Request, of: Any) -> str:
    names = asked(request)
    every = not names and request.analysis in EVERY
    if not names and not every:
        return ""
    parts = []
    for model in request.models:
        folder = _folder(model)
        there = entries(folder)
        for name in there if every else names:
            parts.append(f"{name}={_said(there.get(name), folder, of)}")
    return "\n".join(parts)


def _said(entry: Entry | None, folder: Path, of: Any) -> str:
    if entry is None:
        return "none"
    try:
        return str(of(entry, folder))
    except OSError:  # gone, or unreadable; opening it will say so
        return "unreadable"


def _folder(model: ModelRef) -> Path:
    return sources.resolve(model)
