"""Writes assets/concept_sets from the tables it is made of: python -m tools.concept_sets FOLDER

FOLDER holds categories.csv, own_pairs.csv, context_templates.csv (of this project),
function_vector_pairs.csv (of ericwtodd/function_vectors) and noun_hierarchy.jsonl (nouns of Open
English WordNet). What each set is and under which licence stands in the README beside the result.
"""

import csv
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from core.concept_sets import FOLDER, INDEX
from core.spec.concept_set import ConceptSet, Group, plain

OWN = "Written for this project."
CC0 = "CC0-1.0"
PAIRS_KEPT = 100  # of one relation
NOUNS_KEPT = 20  # words in a closure, below which a node is merged into the one above
# Short names of the tables, as people read them.
WORDS = {
    "body_part": "body part",
    "color": "colour",
    "artifact": "artefact",
    "geo": "geography",
    "kin": "kinship",
    "body": "body",
    "role": "social role",
    "place": "geographic place",
    "human": "about people",
    "abstract": "abstract thing",
    "living": "living or eaten",
}
CONTRASTS = {
    "verb=>3sg": "verb to third person",
    "verb=>ing": "verb to -ing form",
    "verb=>past": "verb to past",
    "verb=>irregular_past": "verb to irregular past",
    "noun=>plural": "noun to plural",
    "adj=>comparative": "adjective to comparative",
    "adj=>superlative": "adjective to superlative",
    "adj=>adverb": "adjective to adverb",
    "adj=>un_adj": "adjective to un-adjective",
    "male=>female": "male to female",
    "lower=>upper": "lower case to upper case",
    "country=>capital": "country to capital",
    "country=>nationality": "country to nationality",
    "small=>big": "small to big",
    "negative=>positive": "negative to positive",
    "digit=>word": "digit to word",
    "object=>color": "object to colour",
    "whole=>part": "whole to part",
}


def made(source: Path) -> Iterator[ConceptSet]:
    """Every set of the folder, in the order of the index."""
    yield _categories(_rows(source / "categories.csv"))
    yield _contrasts(_rows(source / "own_pairs.csv"))
    yield _relations(_rows(source / "function_vector_pairs.csv"))
    yield from _ordered(_rows(source / "context_templates.csv"))
    lines = (source / "noun_hierarchy.jsonl").read_text(encoding="utf-8").splitlines()
    yield _nouns([json.loads(line) for line in lines])


def _rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def _gathered(rows: Iterable[tuple[str, Any]]) -> dict[str, list[Any]]:
    """Values by key, each once, in order."""
    found: dict[str, dict[Any, None]] = {}
    for key, value in rows:
        found.setdefault(key, {})[value] = None
    return {key: list(values) for key, values in found.items()}


def _categories(rows: list[dict[str, str]]) -> ConceptSet:
    above: dict[str, str] = {}
    for row in rows:
        parent, top = _named(row["parent"]), _named(row["grandparent"])
        if row["category"] == "building":  # "place" stands for two things in the table
            parent = "built place"
        above.setdefault(_named(row["category"]), parent)
        if parent != top:
            above.setdefault(parent, top)
        above.setdefault(top, "")
    words = _gathered((_named(row["category"]), row["word"]) for row in rows)
    groups = [Group(name, tuple(words.get(name, ())), (), above[name]) for name in above]
    return ConceptSet(
        "categories", "categories", tuple(groups), source=OWN, licence=CC0,
        about="Common nouns in 31 categories, with two levels above them.",
    )  # fmt: skip


def _named(word: str) -> str:
    return WORDS.get(word, word)


def _contrasts(rows: list[dict[str, str]]) -> ConceptSet:
    pairs = _gathered((CONTRASTS[row["concept"]], (row["base"], row["target"])) for row in rows)
    return ConceptSet(
        "contrasts", "pairs", _paired(pairs), source=OWN, licence=CC0,
        about="Word pairs that differ in one thing, in 18 contrasts of grammar and meaning.",
    )  # fmt: skip


def _paired(pairs: dict[str, list[tuple[str, str]]]) -> tuple[Group, ...]:
    groups = []
    for name, rows in pairs.items():
        one, other = zip(*rows, strict=True)
        groups.append(Group(name, one, other))
    return tuple(groups)


def _relations(rows: list[dict[str, str]]) -> ConceptSet:
    every = _gathered(
        (row["relation"].replace("-", " to "), (row["input"], row["output"]))
        for row in rows
        if row["input"] != row["output"]
    )
    kept = {name: _spread(pairs, PAIRS_KEPT) for name, pairs in every.items()}
    return ConceptSet(
        "relations", "pairs", _paired(kept),
        about="Facts, translations and grammar as pairs, up to 100 of each of 13 relations.",
        source="Function Vectors in Large Language Models (Todd et al. 2024), repository "
        "ericwtodd/function_vectors.",
        licence="MIT",
    )  # fmt: skip


def _spread(rows: list[Any], most: int) -> list[Any]:
    """Up to `most` of the rows, evenly over the list: several of the tables are sorted."""
    step = max(1.0, len(rows) / most)
    return [rows[int(place * step)] for place in range(min(most, len(rows)))]


def _ordered(rows: list[dict[str, str]]) -> Iterator[ConceptSet]:
    for name in dict.fromkeys(row["set"] for row in rows):
        own = [row for row in rows if row["set"] == name]
        words = tuple(dict.fromkeys(row["word"] for row in own))
        contexts = dict.fromkeys(row["text"].removesuffix(row["word"]) + "{}" for row in own)
        cyclic = own[0]["period"] != "0"
        yield ConceptSet(
            name, "cycle" if cyclic else "line", (Group(name, words),), tuple(contexts),
            about=f"The {name} in order{', beginning again' if cyclic else ''}, in short contexts.",
            source=OWN, licence=CC0,
        )  # fmt: skip


def _nouns(nodes: list[dict[str, Any]]) -> ConceptSet:
    """The noun tree: words at their first sense, small nodes merged into the one above."""
    by_id = {node["id"]: node for node in nodes}
    kept = {node["id"] for node in nodes if node["n_first"] >= NOUNS_KEPT}

    def up(identity: str) -> str:
        """The nearest kept node at or above this one; of several parents the first is followed."""
        while identity not in kept:
            identity = by_id[identity]["parents"][0]
        return identity

    words: dict[str, dict[str, None]] = {identity: {} for identity in by_id if identity in kept}
    seen: set[str] = set()
    for node in nodes:
        for word in node["words_first"]:
            if word not in seen:
                seen.add(word)
                words[up(node["id"])][word] = None
    groups = []
    for identity, own in words.items():
        parents = by_id[identity]["parents"]
        parent = _plain(by_id[up(parents[0])]["name"]) if parents else ""
        groups.append(Group(_plain(by_id[identity]["name"]), tuple(own), (), parent))
    return ConceptSet(
        "WordNet nouns", "categories", tuple(groups),
        about="English nouns at their most usual sense, in the tree of WordNet; nodes of fewer "
        "than 20 words are merged into the one above.",
        source="Open English WordNet (globalwordnet/english-wordnet), derived from Princeton "
        "WordNet.",
        licence="CC BY 4.0",
    )  # fmt: skip


def _plain(name: str) -> str:
    """ "living_thing.1" as "living thing", "substance.2" as "substance (2)"."""
    word, _, sense = name.rpartition(".")
    return word.replace("_", " ") + ("" if sense == "1" else f" ({sense})")


def entry(one: ConceptSet) -> dict[str, Any]:
    """The set's line in the index."""
    return {
        "name": one.name,
        "file": f"{one.name.lower().replace(' ', '_')}.json",
        "kind": one.kind,
        "n_groups": len(one.groups),
        "n_items": one.n_items,
        "about": one.about,
        "source": one.source,
        "licence": one.licence,
    }


def write(source: Path, folder: Path) -> None:
    rows = []
    for one in made(source):
        row = entry(one)
        rows.append(row)
        lines = json.dumps(plain(one), ensure_ascii=False, separators=(",", ":"))
        text = lines.replace('{"name"', '\n{"name"').removeprefix("\n") + "\n"
        (folder / row["file"]).write_text(text, encoding="utf-8")
    index = json.dumps(rows, ensure_ascii=False, indent=1) + "\n"
    (folder / INDEX).write_text(index, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]), FOLDER)
