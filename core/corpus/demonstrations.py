"""Prompts of labelled examples: with right labels, with labels that are wrong by a rule, without.

The set-up of "Overthinking the Truth" (Halawi, Denain, Steinhardt, 2023), with lists of our own.
"""

import json
import random
from dataclasses import dataclass
from functools import cache
from itertools import islice

from core.corpus.packs import FOLDER, beginning, next_token, plain_ids, words
from core.models.loaded import Loaded
from core.spec.errors import Error

SOURCES = ("categories", "random")
KINDS = ("true", "false", "shuffled")
MOST, LEAST = 20, 2  # examples of a prompt; of each class at least
CLASSES = 4
THINGS = 16  # of each category: one of them is the question
_TRIES = 4  # prompts begun for each one wanted: some are split otherwise


@dataclass(frozen=True)
class Asked:
    """One question behind examples, in three kinds that differ in the labels alone.

    ids     kind -> prompt, ending in front of the answer. "false": each class has the label of
            another one; "shuffled": the same labels, in no order
    places  where the labels stand; shown: kind -> which class each of them names
    labels  token of every class; true, false: places in it of the right answer, and of the one
            the false examples teach
    """

    ids: dict[str, tuple[int, ...]]
    places: tuple[int, ...]
    shown: dict[str, tuple[int, ...]]
    labels: tuple[int, ...]
    true: int
    false: int


@dataclass(frozen=True)
class Demonstrations:
    """Questions of one shape; `names`: the classes that are single tokens, () of random ones."""

    asked: tuple[Asked, ...]
    n_examples: int
    n_classes: int
    names: tuple[str, ...]


def demonstrations(
    loaded: Loaded, source: str, n_prompts: int, n_examples: int, seed: int
) -> Demonstrations:
    """Prompts of `n_examples` examples (fewer where the context is short).

    source  "categories": things and their kind ("dog: animal"); "random": random words stand for
            things and kinds, each thing comes back, and its first answer is called right

    Raises `Error` where a model has too few of the kinds as single tokens, or too short a context.
    """
    if source not in SOURCES:
        raise Error(f"source is {' or '.join(SOURCES)}, not {source!r:.40}")
    names = _kinds(loaded) if source == "categories" else ()
    n_classes = min(CLASSES, len(names)) if names else CLASSES
    if names:
        n_examples = min(n_examples, (THINGS - 1) * n_classes)
    draw = random.Random(seed)
    for n in range(n_examples // n_classes * n_classes, LEAST * n_classes - 1, -n_classes):
        made = (_made(loaded, source, names, n, n_classes, draw) for _ in range(_TRIES * n_prompts))
        kept = list(islice((each for each in made if each is not None), n_prompts))
        longest = max((len(each.ids["true"]) for each in kept), default=0)
        if kept and (not loaded.n_ctx or longest <= loaded.n_ctx):
            return Demonstrations(tuple(kept), n, n_classes, names)
    raise Error(
        f"{LEAST} examples of each of {n_classes} classes do not fit {loaded.name}: its context "
        "is too short, or its tokenizer splits them in another way each time"
    )


@cache
def _lists() -> dict[str, list[str]]:
    lists: dict[str, list[str]] = json.loads(
        (FOLDER / "categories.json").read_text(encoding="utf-8")
    )
    return lists


def _kinds(loaded: Loaded) -> tuple[str, ...]:
    """The categories whose names are single tokens behind a thing."""
    tokens = {name: next_token(loaded, "thing:", f" {name}") for name in _lists()}
    known = [name for name, token in tokens.items() if token is not None]
    found = tuple(name for name in known if list(tokens.values()).count(tokens[name]) == 1)
    if len(found) < 2:
        raise Error(
            f"{len(found)} of the {len(tokens)} kinds of things are single tokens of "
            f"{loaded.name}; use source='random'"
        )
    return found


def _made(
    loaded: Loaded,
    source: str,
    names: tuple[str, ...],
    n: int,
    n_classes: int,
    draw: random.Random,
) -> Asked | None:
    """One question; None where a label is no token of its own in its place."""
    classes = [number for number in range(n_classes) for _ in range(n // n_classes)]
    draw.shuffle(classes)
    shift, query = draw.randrange(1, n_classes), draw.randrange(n_classes)
    taught = [(number + shift) % n_classes for number in classes]
    shown = {
        "true": tuple(classes),
        "false": tuple(taught),
        "shuffled": tuple(draw.sample(taught, n)),
    }
    about = (classes, query, draw)
    found = (
        _words(loaded, n_classes, shown, *about)
        if source == "random"
        else _things(loaded, draw.sample(names, n_classes), shown, *about)
    )
    if found is None:
        return None
    ids, places, labels = found
    return Asked(ids, places, shown, labels, query, (query + shift) % n_classes)


def _words_of(loaded: Loaded) -> list[int]:
    """The whole words of a vocabulary, read once per model."""
    if "whole_words" not in loaded.memo:
        loaded.memo["whole_words"] = words(loaded)
    found: list[int] = loaded.memo["whole_words"]
    return found


_Written = tuple[dict[str, tuple[int, ...]], tuple[int, ...], tuple[int, ...]]


def _words(
    loaded: Loaded,
    n_classes: int,
    shown: dict[str, tuple[int, ...]],
    classes: list[int],
    query: int,
    draw: random.Random,
) -> _Written:
    """Tokens alone: thing, label, thing, label ..., thing."""
    drawn = draw.sample(_words_of(loaded), 2 * n_classes)
    things, labels = drawn[:n_classes], tuple(drawn[n_classes:])
    front = beginning(loaded)
    ids = {
        kind: (
            *front,
            *(
                token
                for thing, label in zip(classes, said, strict=True)
                for token in (things[thing], labels[label])
            ),
            things[query],
        )
        for kind, said in shown.items()
    }
    return ids, tuple(len(front) + 2 * at + 1 for at in range(len(classes))), labels


def _things(
    loaded: Loaded,
    names: list[str],
    shown: dict[str, tuple[int, ...]],
    classes: list[int],
    query: int,
    draw: random.Random,
) -> _Written | None:
    """Lines "dog: animal", things that come once."""
    left = {number: draw.sample(_lists()[name], THINGS) for number, name in enumerate(names)}
    things = [left[number].pop() for number in classes]
    asked, front = left[query].pop(), beginning(loaded)
    found: dict[str, tuple[int, ...]] = {}
    labels: dict[int, int] = {}
    for kind, said in shown.items():
        text = ""
        at: list[int] = []
        for thing, label in zip(things, said, strict=True):
            text += f"{thing}:"
            at.append(len(plain_ids(loaded, text)))
            text += f" {names[label]}\n"
        ids = plain_ids(loaded, f"{text}{asked}:")
        for place, label in zip(at, said, strict=True):
            if place >= len(ids) or labels.setdefault(label, ids[place]) != ids[place]:
                return None
        found[kind] = (*front, *ids)
    right = [next_token(loaded, f"{asked}:", f" {name}") for name in names]
    if right != [labels[number] for number in range(len(names))]:
        return None
    if len({len(ids) for ids in found.values()}) > 1:
        return None
    return (
        found,
        tuple(len(front) + place for place in at),
        tuple(labels[n] for n in sorted(labels)),
    )
