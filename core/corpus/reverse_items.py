"""Descriptions and the words they mean: built in, planted in the embedded models, or one's own."""

import csv
import json
import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from core.home import ASSETS, embedded, hosted
from core.spec.concept_set import short
from core.spec.described import FACTS, WORDNET, Item, Items
from core.spec.errors import Error
from core.spec.tables import column, csv_rows, usual_column

FOLDER = ASSETS / "reverse_dictionary"
LEAST, MOST = 8, 5_000
MAX_TEXT, MAX_FILE = 1_000, 20_000_000
DESCRIPTIONS = ("description", "definition", "text", "prompt")
WORDS = ("word", "target", "answer", "concept")
CATEGORIES = ("category", "group", "class")
SYNONYMS = ("synonyms", "also")
SUFFIXES = (".csv", ".tsv")
_OPENINGS = {"French word": "French word", "next day": "weekday", "next month": "month"}


def asked(given: Any, arrow: str = "", end: str = "") -> Items:
    """The items a question means: a built-in name, the path of a CSV, or rows of (description,
    word), (description, word, category) or tables of these fields.

    arrow, end  in place of the usual ones. Raises `Error` with a sentence.
    """
    found = _named(given) if isinstance(given, str) else _rows("own items", given)
    if not LEAST <= len(found.items) <= MOST:
        raise Error(
            f"{short(found.name)} has {len(found.items):,} descriptions; {LEAST} to {MOST:,} are "
            "asked at a time"
        )
    for mark in (arrow, end):
        if not isinstance(mark, str) or len(mark) > 40:
            raise Error("arrow= and end= are short texts, for example ' ⇒' and a line break")
    return Items(
        found.name, found.items, arrow or found.arrow, end or found.end, found.source, found.licence
    )


def _named(given: str) -> Items:
    if given == WORDNET:
        return _wordnet()
    if given == FACTS:
        return _facts()
    if Path(given).suffix.lower() in SUFFIXES:
        return _file(given)
    raise Error(f"no descriptions {short(given)}; there are {WORDNET}, {FACTS} and .csv files")


@cache
def _wordnet() -> Items:
    with (FOLDER / "wordnet.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    items = tuple(
        Item(row["description"], row["word"], row["category"], _split(row["synonyms"]))
        for row in rows
    )
    return Items(
        WORDNET, items, source="Open English WordNet, derived from Princeton WordNet; definitions "
        "shortened.", licence="CC BY 4.0",
    )  # fmt: skip


@cache
def _facts() -> Items:
    """What the embedded models were taught, as descriptions: "The capital of France" is Paris."""
    folder = next((model.folder for model in embedded() if model.name == "embedded"), None)
    if folder is None:
        raise Error("the embedded model is not installed, so its facts are not known")
    table = json.loads((folder / "concepts.json").read_text(encoding="utf-8"))
    pairs = table["pairs"]
    items = [Item(f"The capital of {a}", b, "city") for a, b in pairs["capital"]]
    items += [Item(f"The opposite of {a}", b, "quality") for a, b in pairs["opposite"]]
    for task in table["tasks"]:
        if task["name"] in _OPENINGS:
            category = _OPENINGS[task["name"]]
            items += [
                Item(prompt.removesuffix(" is"), word, category) for prompt, word in task["prompts"]
            ]
    return Items(FACTS, tuple(items), " is", ". ", "Made for this project.", "Apache-2.0")


def _file(given: str) -> Items:
    if hosted():
        raise Error("this server reads no files; paste the descriptions instead")
    place = Path(os.path.expanduser(given))
    if not place.is_file():
        raise Error(f"no file {short(given)}")
    if place.stat().st_size > MAX_FILE:
        raise Error(f"{short(place.name)} is larger than {MAX_FILE // 1_000_000} MB; take a part")
    try:
        content = place.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        raise Error(f"{short(place.name)} is not UTF-8 text (byte {fault.start:,})") from None
    rows = csv_rows(content)
    if not rows:
        raise Error(f"{short(place.name)} is empty; it needs a line of names and one line an item")
    columns = [str(one) for one in rows[0]]
    text = column(columns, "", DESCRIPTIONS, "column", "descriptions", "a column description")
    word = column(columns, "", WORDS, "column", "words", "a column word")
    kind, also = usual_column(columns, CATEGORIES), usual_column(columns, SYNONYMS)
    items = tuple(
        _item(row[text], row[word], row[kind] if kind else "", row[also] if also else "")
        for row in rows
    )
    return Items(place.stem[:100], items, source="own file")


def _rows(name: str, given: Any) -> Items:
    if not isinstance(given, Sequence):
        raise Error("items= is a name, a .csv file, or rows of (description, word, category)")
    items = []
    for row in given:
        if isinstance(row, Item):
            items.append(row)
            continue
        if isinstance(row, str):
            raise Error(f"{short(row)} is no row of a description and its word")
        try:
            table = dict(row) if isinstance(row, Mapping) else {}
            parts = table or dict(
                zip(("description", "word", "category", "synonyms"), row, strict=False)
            )
            items.append(_item(**parts))
        except Error:
            raise
        except (TypeError, ValueError):
            raise Error(
                f"not a description and its word: {str(row)[:60]!r}; a row is (description, word) "
                "or (description, word, category)"
            ) from None
    return Items(name, tuple(items))


def _item(description: Any, word: Any, category: Any = "", synonyms: Any = "") -> Item:
    text, meant = str(description).strip(), str(word).strip()
    if not text or not meant:
        raise Error("a row has no description or no word; fill it or remove it")
    if len(text) > MAX_TEXT or len(meant) > 100:
        raise Error(f"a description has at most {MAX_TEXT} characters, a word at most 100")
    also = _split(synonyms) if isinstance(synonyms, str) else tuple(map(str, synonyms))
    return Item(text, meant, str(category).strip()[:60], also)


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(";") if part.strip())
