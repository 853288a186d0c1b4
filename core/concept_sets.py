"""Sets of concepts: those that come with the program, and the one a question means.

Standard library only, so that pages can list them.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from core import concepts, labelled, own_sets
from core.home import ASSETS, embedded
from core.planted_sets import planted
from core.spec.concept import Concept
from core.spec.concept_set import (
    MAX_NAME,
    SLOT,
    ConceptSet,
    Group,
    from_plain,
    of_concept,
    of_words,
    short,
)
from core.spec.errors import Error
from core.spec.labelled import LabelledSet

FOLDER = ASSETS / "concept_sets"
INDEX = "index.json"
EVERYDAY = "everyday contrasts"
STATEMENTS = "texts: "  # before the name of a labelled set
MOST_TEXTS = 2_000  # of a labelled set that is offered as concepts
OWN_WORDS = "own words"
OWN_PAIRS = "own pairs"
OWN_CONCEPTS = "own concepts"


@dataclass(frozen=True, slots=True)
class Entry:
    """A built-in set without its words; see `ConceptSet` for the fields."""

    name: str
    kind: str
    n_groups: int
    n_items: int
    about: str
    source: str
    licence: str
    model: str = ""
    file: str = ""  # in assets/concept_sets; "" where the set is made from other tables


def built_in() -> MappingProxyType[str, Entry]:
    """Every built-in set by name: planted ones, files, everyday contrasts, labelled texts."""
    return _listed(tuple(str(model.folder) for model in embedded()))


@lru_cache(maxsize=4)
def _listed(folders: tuple[str, ...]) -> MappingProxyType[str, Entry]:
    entries = [_entry(one) for folder in folders for one in planted(Path(folder))]
    rows = json.loads((FOLDER / INDEX).read_text(encoding="utf-8"))
    entries += [Entry(**row) for row in rows]
    entries.append(_entry(_everyday()))
    entries += _texts()
    return MappingProxyType({entry.name: entry for entry in entries})


def _entry(one: ConceptSet) -> Entry:
    return Entry(
        one.name, one.kind, len(one.groups), one.n_items, one.about, one.source, one.licence,
        one.model,
    )  # fmt: skip


def _texts() -> Iterator[Entry]:
    for entry in labelled.built_in().values():
        if entry.n <= MOST_TEXTS:
            yield Entry(
                STATEMENTS + entry.name, "categories", len(entry.classes), entry.n, entry.about,
                entry.source, entry.licence, entry.model,
            )  # fmt: skip


def named(name: str) -> ConceptSet:
    """The set of this name: built-in, else the newest saved one, else a built-in concept as a set.

    "days" also finds "embedded: days". Raises `Error` naming some of those there are.
    """
    found = built_in()
    if name in found:
        return _open(name)
    if (own := own_sets.newest(name)) is not None:
        return own
    same = [full for full in found if name and full.partition(": ")[2] == name]
    if same:
        return _open(same[0])
    if name in concepts.built_in():
        texts = ": " not in name  # planted concepts are words, everyday ones short texts
        return replace(of_concept(concepts.named(name)), contexts=(SLOT,) if texts else ())
    some = ", ".join(list(found)[:6])
    raise Error(
        f"no set of concepts {short(name)}; built in are {some} and {len(found) - 6} more; words "
        "of your own go in as a list"
    )


@lru_cache(maxsize=64)
def _open(name: str) -> ConceptSet:
    entry = built_in()[name]
    if entry.file:
        text = (FOLDER / entry.file).read_text(encoding="utf-8")
        return from_plain(json.loads(text))
    if name == EVERYDAY:
        return _everyday()
    if name.startswith(STATEMENTS):
        return _of_labels(labelled.named(name.removeprefix(STATEMENTS)))
    every = (one for model in embedded() for one in planted(model.folder))
    return next(one for one in every if one.name == name)


def _everyday() -> ConceptSet:
    """The built-in concepts that are pairs of short texts, one group each."""
    known = concepts.built_in().values()
    pairs = [one for one in known if one.paired and ": " not in one.name]
    return ConceptSet(
        EVERYDAY,
        "pairs",
        tuple(Group(one.name, one.positive, one.negative) for one in pairs),
        (SLOT,),
        about="Pairs of short texts that differ in one thing: feeling, language, tense and more.",
        source="Written for this project.",
        licence="Apache-2.0",
    )


def _of_labels(one: LabelledSet) -> ConceptSet:
    """The classes of a labelled set as groups of texts, each read at its end."""
    groups = []
    for number, name in enumerate(one.classes):
        own = (text for text, label in zip(one.texts, one.labels, strict=True) if label == number)
        groups.append(Group(name, tuple(dict.fromkeys(own))))
    return ConceptSet(
        STATEMENTS + one.name, "categories", tuple(groups), (SLOT,), one.model, one.about,
        one.source, one.licence,
    )  # fmt: skip


def listed() -> dict[str, str]:
    """Every set by name, built in and saved, with one sentence on what it holds."""
    found = {name: one.about for name, one in built_in().items()}
    versions = Counter(one.name for one in own_sets.versions())
    return found | {name: f"saved, version {n}" for name, n in versions.items()}


def of_groups(
    name: str,
    groups: Mapping[str, Sequence[Any]] | Sequence[Any],
    kind: str = "",
    contexts: Sequence[str] = (),
) -> ConceptSet:
    """A set of words or pairs, in one group or in several by name.

    kind  "" takes pairs for pairs and words for categories
    """
    table = groups if isinstance(groups, Mapping) else {name: groups}
    made = tuple(
        replace(group, name=called)
        for called, items in table.items()
        for group in asked(list(items)).groups
    )
    usual = "pairs" if all(group.targets for group in made) else "categories"
    return ConceptSet(name, kind or usual, made, tuple(contexts))


def save(one: ConceptSet) -> own_sets.Version:
    """Keep a version of one's own set. Raises `Error` for a name that is built in."""
    if one.name in built_in():
        raise Error(f"{short(one.name)} is the name of a set that is built in; choose another one")
    return own_sets.save(one)


def asked(given: Any) -> ConceptSet:
    """The set a question means.

    A name (built-in or saved), the path of a table, a `ConceptSet`, a `Concept`, a table of the
    fields of one, a list of concepts (a group each), a list of (first, second) pairs, or a list
    of words. Raises `Error` with a sentence.
    """
    if isinstance(given, str):
        return _of_name(given)
    if isinstance(given, ConceptSet | Concept | Mapping):
        return from_plain(given)
    if not isinstance(given, Sequence):
        raise Error(f"not a set of concepts: {str(given)[:80]!r}")
    parts = list(given)
    if not parts:
        raise Error("no concepts: give the name of a set, words or concepts")
    if _is_table(parts):
        return from_plain(parts)
    if all(isinstance(part, str) for part in parts):
        return of_words(OWN_WORDS, parts)
    if all(_is_pair(part) for part in parts):
        one, other = zip(*parts, strict=True)
        return ConceptSet(OWN_PAIRS, "pairs", (Group(OWN_PAIRS, one, other),))
    return _together([asked(part) for part in parts if not isinstance(part, str)], parts)


def _of_name(given: str) -> ConceptSet:
    if given not in built_in() and Path(given).suffix.lower() in own_sets.SUFFIXES:
        return own_sets.read_file(given)
    return named(given)


def _is_pair(part: Any) -> bool:
    return (
        isinstance(part, list | tuple)
        and len(part) == 2
        and all(isinstance(half, str) for half in part)
    )


def _is_table(parts: list[Any]) -> bool:
    """(field, value) pairs, as a question holds a table."""
    rows = all(isinstance(part, list | tuple) and len(part) == 2 for part in parts)
    names = {part[0] for part in parts if isinstance(part[0], str)} if rows else set()
    return {"name", "groups"} <= names or {"name", "positive"} <= names


def _together(sets: list[ConceptSet], parts: list[Any]) -> ConceptSet:
    """Several concepts or sets as the groups of one.

    Pairs stay pairs when all are; else their two halves become two groups.
    """
    if len(sets) != len(parts):
        word = next(part for part in parts if isinstance(part, str))
        raise Error(f"{short(word)} stands among concepts; give words or concepts, not both")
    paired = all(one.kind == "pairs" for one in sets)
    groups: list[Group] = []
    for one in sets:
        groups.extend(one.groups if paired or one.kind != "pairs" else _halves(one))
    contexts = {one.contexts for one in sets}
    return ConceptSet(
        OWN_CONCEPTS if len(sets) > 1 else sets[0].name,
        "pairs" if paired else "categories",
        tuple(groups),
        contexts.pop() if len(contexts) == 1 else (),
    )


def _halves(one: ConceptSet) -> Iterator[Group]:
    for group in one.groups:
        yield Group(group.name, tuple(dict.fromkeys(group.items)))
        others = tuple(dict.fromkeys(group.targets))
        yield Group(f"not {group.name}"[:MAX_NAME], others)
