"""Sets of concepts planted in an embedded model, from the `concepts.json` in its folder.

Standard library only.
"""

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from core.spec.concept_set import ConceptSet, Group

PLANTED = "concepts.json"
LICENCE = "Apache-2.0"
KINDS = "is-a"  # the family whose classes lie below each other
TOPIC = "topic:"
# Requests a model was taught to refuse are no set to look at words with.
_LEFT_OUT = ("questions",)
# Openings of sentences the model was trained on, before words of the set; others take neutral ones.
NOUNS = ("He saw the {}", "She saw the {}", "I saw the {}", "So the {}")
CONTEXTS: dict[str, tuple[str, ...]] = {
    "kinds of things": NOUNS,
    "topics": ("He saw the {}", "She saw the {}", "I saw the {}", "About the {}"),
    "one and many": NOUNS,
    "days": ("The day after {}", "Two days after {}", "One {}", "From {}"),
    "months": ("The month after {}", "From {}", "It was {}", "One Friday in {}"),
    "hours": ("It is {}", "On the clock, go from {}", "Two hours after {}"),
    "numbers": ("It is {}", "There are {}", "If you add {}", "The sum of {}"),
    "moods": ("Everything went well and Anna was {}", "Tom felt {}", "Mia felt {}"),
    "colours and looks": ("He found a {}", "She found a {}"),
    "rooms and boxes": NOUNS,
}
# Families of concepts.json under the names people read.
FAMILIES = {
    "geography": "geography",
    "opposites": "degrees",
    "tense": "tenses",
    "languages": "languages",
    "gender": "male and female",
    "number": "one and many",
    "sequences": "sequences",
    "scenes": "scenes",
    "two hops": "rooms and boxes",
}
CYCLES = {"day": "days", "month": "months", "hour": "hours", "season": "seasons"}
ORDERS = {"number": "numbers", "ordinal": "ordinals", "letter": "letters"}
REVIEWS = {"verdict words": ("praise", "blame"), "moods": ("glad", "sad")}


@lru_cache(maxsize=8)
def planted(folder: Path) -> tuple[ConceptSet, ...]:
    """Every planted set of the model in this folder, named after it; () for one without."""
    path = folder / PLANTED
    if not path.is_file():
        return ()
    table = json.loads(path.read_text(encoding="utf-8"))
    return tuple(_sets(folder.name, table))


def _sets(model: str, table: Mapping[str, Any]) -> Iterator[ConceptSet]:
    classes = {
        name: entry
        for name, entry in table.get("concepts", {}).items()
        if entry["family"] not in _LEFT_OUT
    }
    yield _made(model, "kinds of things", _tree(classes), "Kinds of things and what is above them.")
    yield from _classes(model, classes)
    pairs = {name: _once(rows) for name, rows in table.get("pairs", {}).items()}
    about = "Relations whose pairs should differ by one direction each."
    groups = [Group(name, one, other) for name, (one, other) in pairs.items()]
    yield _made(model, "relations", groups, about, "pairs")
    for name, words in table.get("cycles", {}).items():
        named = CYCLES.get(name, name)
        about = f"The {named} in order, beginning again."
        yield _made(model, named, [Group(name, tuple(words))], about, "cycle")
    for name, words in table.get("orders", {}).items():
        named = ORDERS.get(name, name)
        yield _made(model, named, [Group(name, tuple(words))], f"The {named} in order.", "line")
    if senses := _senses(table.get("senses", ())):
        about = "Sentences that end in a word with two senses."
        yield _made(model, "senses", senses, about, contexts=("{}",))
    absent = [Group(name, tuple(words)) for name, words in table.get("absent", {}).items()]
    if absent:
        about = "Words that no training text held: structure found among them is a false alarm."
        yield _made(model, "never seen", absent, about)


def _made(
    model: str,
    name: str,
    groups: list[Group],
    about: str,
    kind: str = "categories",
    contexts: tuple[str, ...] = (),
) -> ConceptSet:
    return ConceptSet(
        f"{model}: {name}",
        kind,
        tuple(groups),
        contexts or CONTEXTS.get(name, ()),
        model=model,
        about=about,
        source=f"Planted in the training text of {model}.",
        licence=LICENCE,
    )


def _tree(classes: Mapping[str, Any]) -> list[Group]:
    """The kinds of things: words at the lowest class, none at those above."""
    kinds = {name: entry for name, entry in classes.items() if entry["family"] == KINDS}
    parents = {entry.get("above", "") for entry in kinds.values()}
    return [
        Group(
            name,
            () if name in parents else tuple(entry["members"]),
            parent=entry.get("above", ""),
        )
        for name, entry in kinds.items()
    ]


def _classes(model: str, classes: Mapping[str, Any]) -> Iterator[ConceptSet]:
    """Classes of a family side by side; stories by topic and looks, reviews by what is said."""
    families: dict[str, list[Group]] = {}
    for name, entry in classes.items():
        group = Group(name.removeprefix(TOPIC), tuple(dict.fromkeys(entry["members"])))
        families.setdefault(_family(name, entry["family"]), []).append(group)
    for name, groups in families.items():
        if name != KINDS and len(groups) > 1:
            words = ", ".join(group.name for group in groups[:4])
            more = " and more" if len(groups) > 4 else ""
            yield _made(model, name, groups, f"Words of {words}{more}.")


def _family(name: str, family: str) -> str:
    if name.startswith(TOPIC):
        return "topics"
    if family == "stories":
        return "colours and looks"
    return next(
        (named for named, own in REVIEWS.items() if name in own), FAMILIES.get(family, family)
    )


def _senses(rows: Any) -> list[Group]:
    """Two senses of a word below the word; each sentence without its full stop ends in the word."""
    groups: dict[str, Group] = {}
    for row in rows:
        word, sense = row["word"], row["sense"]
        groups.setdefault(word, Group(word))
        texts = tuple(text.removesuffix(".") for text in row["sentences"])
        name = f"{word} ({sense})"
        groups[name] = Group(name, texts, parent=word)
    return list(groups.values())


def _once(rows: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Both halves of the pairs, each pair once and with two different halves."""
    kept = dict.fromkeys((one, other) for one, other in rows if one != other)
    return tuple(one for one, _ in kept), tuple(other for _, other in kept)
