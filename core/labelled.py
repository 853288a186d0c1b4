"""The labelled sets that come with the program, and reading one's own: CSV, JSON lines, two lists.

Standard library only, so that pages can list them.
"""

import csv
import io
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from core.home import ASSETS, hosted
from core.spec.concept import Concept
from core.spec.errors import Error
from core.spec.labelled import LabelledSet, from_plain, of_labels, short
from core.spec.tables import column, csv_rows, json_rows, usual_column

FOLDER = ASSETS / "labelled"
INDEX = "index.json"
SUFFIXES = (".csv", ".tsv", ".jsonl")
MAX_FILE = 50_000_000  # bytes
TOPICS = ("words", "feeling", "context", "truth", "reasoning", "nothing")
# Where a column is not named, the first of these that the file has is taken.
TEXT_NAMES = ("text", "statement", "sentence", "question", "content", "review")
LABEL_NAMES = ("label", "class", "target", "sentiment", "answer")
GROUP_NAMES = ("group", "topic", "subject")


@dataclass(frozen=True, slots=True)
class Entry:
    """A built-in set without its texts; see `LabelledSet` for the fields. n is texts in all."""

    name: str
    file: str
    n: int
    classes: tuple[str, ...]
    position: str
    topic: str
    level: str
    model: str
    about: str
    source: str
    licence: str


@lru_cache(maxsize=1)
def built_in() -> MappingProxyType[str, Entry]:
    """Every built-in set by name: those planted in the embedded models first, easy to hard."""
    rows = json.loads((FOLDER / INDEX).read_text(encoding="utf-8"))
    entries = [Entry(**{**row, "classes": tuple(row["classes"])}) for row in rows]
    return MappingProxyType({entry.name: entry for entry in entries})


@lru_cache(maxsize=64)
def named(name: str) -> LabelledSet:
    """The built-in set of this name. Raises `Error` naming some of those there are."""
    found = built_in()
    if name not in found:
        some = ", ".join(list(found)[:6])
        raise Error(f"no labelled set {name[:60]!r}; built in are {some} and {len(found) - 6} more")
    entry = found[name]
    rows = list(csv.DictReader(io.StringIO((FOLDER / entry.file).read_text(encoding="utf-8"))))
    return LabelledSet(
        entry.name,
        tuple(row["text"] for row in rows),
        tuple(int(row["label"]) for row in rows),
        entry.classes,
        tuple(row["group"] for row in rows) if "group" in rows[0] else (),
        tuple(row["word"] for row in rows) if "word" in rows[0] else (),
        position=entry.position,
        topic=entry.topic,
        level=entry.level,
        model=entry.model,
        about=entry.about,
        source=entry.source,
        licence=entry.licence,
    )


def of_lists(
    one: Sequence[str],
    other: Sequence[str],
    *,
    names: tuple[str, str] = ("first list", "second list"),
    name: str = "two lists",
    paired: bool = False,
) -> LabelledSet:
    """Two lists of texts as a set; the second list is the positive class.

    paired: line n of both lists belongs together and stays on one side of every split
    """
    if paired and len(one) != len(other):
        raise Error(
            f"the lists have {len(one)} and {len(other)} lines; lines that belong together need "
            "as many on both sides"
        )
    groups = [str(number) for side in (one, other) for number in range(len(side))]
    labels = (0,) * len(one) + (1,) * len(other)
    for given, label in zip((one, other), names, strict=True):
        if not given:
            raise Error(f"the list of {short(label)} is empty; a probe needs texts of both classes")
    texts = (*one, *other)
    return LabelledSet(name, texts, labels, names, tuple(groups) if paired else ())


def of_concept(concept: Concept, negative: Sequence[str] = ()) -> LabelledSet:
    """The two sides of a concept as a set; the halves of a pair stay together.

    negative: what a concept without negative texts is told from.
    """
    others = concept.negative or tuple(text for text in negative if text not in concept.positive)
    if not others:
        raise Error(
            f"{concept.name}: no texts without the concept; a probe needs both, so add some"
        )
    found = of_lists(
        others,
        concept.positive,
        names=("without", concept.name),
        name=concept.name,
        paired=concept.paired,
    )
    return LabelledSet(
        found.name, found.texts, found.labels, found.classes, found.groups,
        about=concept.about, source=concept.source,
    )  # fmt: skip


def read_file(
    path: str, *, text: str = "", label: str = "", group: str = "", name: str = ""
) -> LabelledSet:
    """A set from a .csv, .tsv or .jsonl file; the options are the names of its columns or keys."""
    if hosted():
        raise Error("this server reads no files; paste the table instead")
    place = Path(os.path.expanduser(path))
    if place.suffix.lower() not in SUFFIXES:
        raise Error(f"{short(place.name)} is no table of texts; give a {', '.join(SUFFIXES)} file")
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
    kind = "jsonl" if place.suffix.lower() == ".jsonl" else "csv"
    return read_table(
        content, kind, text=text, label=label, group=group, name=name or place.stem[:100]
    )


def read_table(
    content: str,
    kind: str = "csv",
    *,
    text: str = "",
    label: str = "",
    group: str = "",
    name: str = "own table",
) -> LabelledSet:
    """A set from pasted CSV (comma, semicolon or tab, first line names the columns) or JSON lines.

    text, label, group: names of the columns or keys; without them the usual names are looked for
    ("text", "statement", ...; "label", ...; "group", ...). Rows keep their order.
    """
    rows = json_rows(content) if kind == "jsonl" else csv_rows(content)
    if not rows:
        raise Error(f"{name}: the table is empty; it needs a line of names and one line per text")
    columns = list(dict.fromkeys(key for row in rows for key in row))
    what = "key" if kind == "jsonl" else "column"
    texts = column(columns, text, TEXT_NAMES, what, "texts", "text")
    labels = column(columns, label, LABEL_NAMES, what, "labels", "label")
    groups = column(columns, group, (), what, "groups", "group") if group else ""
    if not group:
        groups = usual_column([one for one in columns if one not in (texts, labels)], GROUP_NAMES)
    said = [str(row.get(texts) or "") for row in rows]
    if empty := next((number for number, one in enumerate(said, start=1) if not one.strip()), 0):
        raise Error(f"{name}: row {empty} has no {texts!r}; fill it or remove the row")
    return of_labels(
        name,
        said,
        [row.get(labels) for row in rows],
        groups=tuple(str(row.get(groups) or "") for row in rows) if groups else (),
        source="own file",
    )


def asked(given: Any) -> LabelledSet:
    """The set a question names: a built-in name, the path of a file, a set, or its fields."""
    if not isinstance(given, str):
        return from_plain(given)
    if given not in built_in() and Path(given).suffix.lower() in SUFFIXES:
        return read_file(given)
    return named(given)
