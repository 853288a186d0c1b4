"""One's own sets of concepts: read from text, tables and JSON, saved in versions, exported.

Saved sets lie under the home folder, each version under the hash of its content, so that a saved
set never changes under a question that named it. A server saves none: nobody's words are shown
to anybody else. Standard library only.
"""

import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.home import home, hosted
from core.spec.concept_set import ConceptSet, Group, from_plain, plain, short
from core.spec.errors import Error
from core.spec.set_text import read_text
from core.spec.tables import column, csv_rows, usual_column

SUFFIXES = (".csv", ".tsv", ".json", ".txt")
MAX_FILE = 20_000_000  # bytes
# Where a column is not named, the first of these that the table has is taken.
ITEM_NAMES = ("word", "item", "base", "first", "input", "text", "statement", "a", "positive")
TARGET_NAMES = ("target", "second", "output", "b", "negative")
GROUP_NAMES = ("group", "category", "class", "concept", "relation", "label", "set")
PARENT_NAMES = ("parent", "above")
_LOG = "versions.jsonl"
_FOLDER = "concept_sets"


@dataclass(frozen=True, slots=True)
class Version:
    """One saved version of a set: `key` is the hash of its content, `saved` seconds since 1970."""

    name: str
    key: str
    saved: float


def key(one: ConceptSet) -> str:
    """SHA-256 of the set's content, 64 hexadecimal digits; equal sets have equal keys."""
    text = json.dumps(plain(one), sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def save(one: ConceptSet) -> Version:
    """Keep a version of the set under its name; saving the same content again adds none.

    Raises `Error` on a server, and when the disk refuses.
    """
    if hosted():
        raise Error("this server keeps no sets of its visitors; download the set instead")
    made = Version(one.name, key(one), time.time())
    before = versions(one.name)
    if before and before[-1].key == made.key:
        return before[-1]
    folder = home() / _FOLDER
    path = folder / f"{made.key}.json"
    part = folder / f"{made.key}.{os.getpid()}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part.write_text(exported(one), encoding="utf-8")
        part.replace(path)
        with (folder / _LOG).open("a", encoding="utf-8") as log:
            log.write(json.dumps({"name": made.name, "key": made.key, "saved": made.saved}) + "\n")
    except OSError as fault:
        raise Error(f"the set could not be saved in {folder}: {fault.strerror}") from None
    return made


def versions(name: str = "") -> tuple[Version, ...]:
    """Saved versions, oldest first, of this name or of all; () on a server.

    Lines that cannot be read, as a crash in the middle of one leaves them, are passed over.
    """
    path = home() / _FOLDER / _LOG
    if hosted() or not path.is_file():
        return ()
    found = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line)
            one = Version(str(row["name"]), str(row["key"]), float(row["saved"]))
        except (ValueError, KeyError, TypeError):
            continue
        if not name or one.name == name:
            found.append(one)
    return tuple(found)


def saved() -> dict[str, Version]:
    """The newest version of every saved set, by name."""
    return {one.name: one for one in versions()}


def newest(name: str) -> ConceptSet | None:
    """The newest saved set of this name; None where none is saved."""
    found = versions(name)
    return opened(found[-1].key) if found else None


def opened(which: str) -> ConceptSet:
    """A saved version by its key. Raises `Error` when it is missing or not what was saved."""
    digits = which if len(which) == 64 and set(which) <= set("0123456789abcdef") else ""
    path = home() / _FOLDER / f"{digits}.json"
    if hosted() or not digits or not path.is_file():
        raise Error(f"no saved set {short(which)}")
    one = imported(path.read_text(encoding="utf-8", errors="replace"))
    if key(one) != which:
        raise Error(f"the saved set {short(one.name)} was changed on disk; save it anew")
    return one


def exported(one: ConceptSet) -> str:
    """The set as JSON that `imported` reads back."""
    return json.dumps(plain(one), ensure_ascii=False, indent=1) + "\n"


def write(one: ConceptSet, path: Path) -> Path:
    """The set as a .csv or .json file at this place; what is there is replaced."""
    kind = path.suffix.lower()
    if hosted():
        raise Error("this server writes no files; download the set instead")
    if kind not in (".csv", ".json"):
        raise Error(f"a set is written as .csv or .json, not {short(path.name)}")
    path.write_text(as_csv(one) if kind == ".csv" else exported(one), encoding="utf-8")
    return path


def imported(content: str) -> ConceptSet:
    """A set from its JSON. Raises `Error` with a sentence."""
    try:
        table = json.loads(content)
    except (ValueError, RecursionError):
        raise Error("this is not JSON; export a set to see how one looks") from None
    if not isinstance(table, Mapping):
        raise Error("the JSON holds no set of concepts: an object with name, kind and groups")
    return from_plain(table)


def read_file(path: str | Path, *, name: str = "", **columns: str) -> ConceptSet:
    """A set from a file: .csv or .tsv (see `read_table`), .txt (see `read_text`), or .json."""
    if hosted():
        raise Error("this server reads no files; paste the words instead")
    place = Path(os.path.expanduser(path))
    kind = place.suffix.lower()
    if kind not in SUFFIXES:
        raise Error(f"{short(place.name)} is no set of words; give a {', '.join(SUFFIXES)} file")
    if not place.is_file():
        raise Error(f"no file {short(path)}")
    if place.stat().st_size > MAX_FILE:
        raise Error(
            f"{short(place.name)} is larger than {MAX_FILE // 1_000_000} MB; take a part of it"
        )
    try:
        content = place.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        raise Error(
            f"{short(place.name)} is not UTF-8 text (byte {fault.start:,}); save it as UTF-8"
        ) from None
    called = name or place.stem[:100]
    if kind == ".json":
        return imported(content)
    return read_text(content, called) if kind == ".txt" else read_table(content, called, **columns)


def read_table(
    content: str,
    name: str = "own table",
    *,
    item: str = "",
    target: str = "",
    group: str = "",
    parent: str = "",
) -> ConceptSet:
    """A set from a CSV whose first line names the columns (comma, semicolon or tab).

    item, target, group, parent: names of the columns of words, of second halves (then every group
    is a list of pairs), of the group each row is in, and of what is above that group. Without
    names the usual ones are looked for; without a group column all rows are one group. Copies of
    a row are dropped.
    """
    rows = csv_rows(content)
    if not rows:
        raise Error(f"{name}: the table is empty; it needs a line of names and one line per word")
    columns = [str(one) for one in rows[0]]
    items = column(columns, item, ITEM_NAMES, "column", "words", "item")
    targets = _other(columns, target, TARGET_NAMES, "second halves", "target", items)
    groups = _other(columns, group, GROUP_NAMES, "groups", "group", items)
    parents = _other(columns, parent, PARENT_NAMES, "groups above", "parent", items)
    gathered: dict[str, dict[tuple[str, str], None]] = {}
    above: dict[str, str] = {}
    for number, row in enumerate(rows, start=2):
        for wanted in (items, targets, groups):
            if wanted and not str(row[wanted]).strip():
                raise Error(f"{name}: line {number} has no {wanted!r}; fill it or remove the line")
        called = str(row[groups]).strip() if groups else name
        pair = (str(row[items]).strip(), str(row[targets]).strip() if targets else "")
        gathered.setdefault(called, {})[pair] = None
        up = str(row[parents]).strip() if parents else ""
        if up and above.setdefault(called, up) != up:
            raise Error(f"{name}: {short(called)} lies below {above[called]!r} and {up!r}")
    return _of_rows(name, gathered, above, bool(targets))


def _other(
    columns: Sequence[str], asked: str, usual: tuple[str, ...], of: str, option: str, items: str
) -> str:
    """The column of something a table may lack; "" when it is not asked for and not there."""
    if asked:
        return column(columns, asked, usual, "column", of, option)
    return usual_column([one for one in columns if one != items], usual)


def _of_rows(
    name: str, gathered: Mapping[str, Mapping[tuple[str, str], None]], above: dict[str, str],
    paired: bool,
) -> ConceptSet:  # fmt: skip
    groups = [
        Group(
            called,
            tuple(one for one, _ in pairs),
            tuple(other for _, other in pairs) if paired else (),
            above.get(called, ""),
        )
        for called, pairs in gathered.items()
    ]
    tops = dict.fromkeys(up for up in above.values() if up not in gathered)
    groups += [Group(up) for up in tops]
    return ConceptSet(name, "pairs" if paired else "categories", tuple(groups), source="own file")


def as_csv(one: ConceptSet) -> str:
    """The set as a CSV that `read_table` reads back (contexts and order of groups not kept)."""
    import csv
    import io

    made = io.StringIO()
    writer = csv.writer(made, lineterminator="\n")
    paired = one.kind == "pairs"
    writer.writerow(["group", "parent", "word", *(["target"] if paired else [])])
    for group in one.groups:
        halves: Sequence[Any] = (
            list(zip(group.items, group.targets, strict=True))
            if paired
            else [(item,) for item in group.items]
        )
        for row in halves:
            writer.writerow([group.name, group.parent, *row])
    return made.getvalue()
