"""Properties of words from a person's own table: which words have which, of what kind."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.home import hosted
from core.spec.concept_set import short
from core.spec.errors import Error
from core.spec.tables import column, csv_rows, usual_column

MAX_FILE, MAX_PROPERTIES = 20_000_000, 2_000
WORDS = ("word", "concept", "item")
PROPERTIES = ("property", "feature", "attribute")
KINDS = ("group", "kind", "category", "type")


@dataclass(frozen=True)
class Properties:
    """words [property] of those that have it; group [property] its kind, "" where not said."""

    names: tuple[str, ...]
    group: tuple[str, ...]
    words: tuple[frozenset[str], ...]


def properties(given: Any) -> Properties:
    """From a CSV with a line for every word and property it has (columns word, property and, if
    there, group), or from a table: property -> words, or property -> (group, words).

    Words are compared in lower case. Raises `Error` naming the columns that are missing.
    """
    rows = _file(given) if isinstance(given, str) else _table(given)
    found: dict[str, set[str]] = {}
    group: dict[str, str] = {}
    for word, name, kind in rows:
        found.setdefault(name, set()).add(word.strip().lower())
        group.setdefault(name, kind)
    if not found:
        raise Error("the table of properties is empty")
    if len(found) > MAX_PROPERTIES:
        raise Error(f"at most {MAX_PROPERTIES:,} properties are asked, not {len(found):,}")
    names = tuple(found)
    return Properties(
        names, tuple(group[name] for name in names), tuple(frozenset(found[n]) for n in names)
    )


def _file(given: str) -> list[tuple[str, str, str]]:
    if hosted():
        raise Error("this server reads no files; paste the properties instead")
    place = Path(os.path.expanduser(given))
    if place.suffix.lower() not in (".csv", ".tsv") or not place.is_file():
        raise Error(f"no table of properties {short(given)}; give a .csv file that exists")
    if place.stat().st_size > MAX_FILE:
        raise Error(f"{short(place.name)} is larger than {MAX_FILE // 1_000_000} MB; take a part")
    try:
        rows = csv_rows(place.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError as fault:
        raise Error(f"{short(place.name)} is not UTF-8 text (byte {fault.start:,})") from None
    if not rows:
        raise Error(f"{short(place.name)} is empty; it needs the columns word and property")
    columns = [str(one) for one in rows[0]]
    word = column(columns, "", WORDS, "column", "words", "a column word")
    name = column(columns, "", PROPERTIES, "column", "properties", "a column property")
    kind = usual_column([c for c in columns if c not in (word, name)], KINDS)
    return [(row[word], str(row[name]).strip(), str(row[kind]) if kind else "") for row in rows]


def _table(given: Any) -> list[tuple[str, str, str]]:
    try:
        table = dict(given)
    except (TypeError, ValueError):
        raise Error(
            "properties= is a .csv file, or a table: a property, and the words that have it"
        ) from None
    rows = []
    for name, words in table.items():
        kind, own = "", words
        if len(words) == 2 and isinstance(words, Sequence) and isinstance(words[0], str) and (
            not isinstance(words[1], str)
        ):  # fmt: skip
            kind, own = words
        if isinstance(own, str | Mapping) or not all(isinstance(word, str) for word in own):
            raise Error(f"the property {short(name)} needs a list of words")
        rows += [(word, str(name).strip(), kind) for word in own]
    return rows
