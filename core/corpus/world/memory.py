"""Families that can only be continued from their own context: copies, look-ups, two hops, brackets,
records.
"""

from __future__ import annotations

from random import Random

from core.corpus.world.document import Document
from core.corpus.world.facts import noun
from core.corpus.world.words import (
    ATTRIBUTES,
    CONTAINERS,
    FEMALE_NAMES,
    KINDS,
    LETTERS,
    NAMES,
    NOUNS,
    ROOMS,
    TOPICS,
    article,
    kind_labels,
    sense_labels,
)

# How a list opens, how its copy opens, what stands between two items.
LIST_FORMS = (
    ("List: ", "Again: ", " "),
    ("List: ", "Again: ", " "),
    ("She said: ", "He said: ", " "),
    ("Remember: ", "Repeat: ", ", "),
)


def _list(rng: Random, document: Document) -> None:
    first, again, between = rng.choice(LIST_FORMS)
    words = [rng.choice(NOUNS) for _ in range(rng.randint(3, 7))]
    for opening in (first, again):
        document.add(opening)
        for place, word in enumerate(words):
            document.add(word, "list item", *kind_labels(word)).add(
                between if place < len(words) - 1 else ". "
            )


def _possessions(rng: Random, document: Document) -> None:
    names = rng.sample(NAMES, rng.randint(2, 4))
    things = [(rng.choice(ATTRIBUTES["colour"]), rng.choice(NOUNS)) for _ in names]
    form = rng.random()
    owns = "has" if form < 0.8 else "bought"
    for name, (colour, word) in zip(names, things, strict=True):
        document.add(name, "name").add(f" {owns} {article(colour)} ")
        noun(document.add(colour, "colour", *sense_labels(colour, "colour")).add(" "), word).add(
            ". "
        )
    asked = rng.randrange(len(names))
    name, (colour, word) = names[asked], things[asked]
    if owns == "bought":
        document.add(f"What did {name} buy? {name} bought")
    elif form < 0.6:
        document.add(f"Question: what does {name} have? Answer: {name} has")
    else:
        document.add(f"So {name} has")
    document.add(f" {article(colour)} ").add(
        colour, "colour", "looked up", *sense_labels(colour, "colour")
    )
    noun(document.add(" "), word).add(". ")


def _indirect_object(rng: Random, document: Document) -> None:
    one, two = rng.sample(NAMES, 2)
    giver, taker = (one, two) if rng.random() < 0.5 else (two, one)
    place, form = rng.choice(tuple(TOPICS)), rng.random()
    opening = (
        f"When {one} and {two} went to the {place}, {giver} gave a "
        if form < 0.6
        else f"{one} and {two} were at the {place}. {giver} gave a "
        if form < 0.8
        else f"After {one} met {two} near the {place}, {giver} showed a "
    )
    noun(document.add(opening), rng.choice(NOUNS)).add(" to ").add(
        taker, "name", "indirect object"
    ).add(". ")


def recall(rng: Random, document: Document) -> None:
    form = rng.random()
    if form < 0.3:
        _list(rng, document)
    elif form < 0.55:
        _possessions(rng, document)
    elif form < 0.82:
        _indirect_object(rng, document)
    else:
        letters = " ".join(rng.choice(LETTERS) for _ in range(rng.randint(4, 9)))
        opening, again = rng.choice(
            (("Copy: ", ""), ("Letters: ", "Again: "), ("Spell: ", "Once more: "))
        )
        document.add(f"{opening}{letters}. {again}{letters}. ")


def two_hops(rng: Random, document: Document) -> None:
    """Things in containers in rooms, told in any order; the answer needs two of the sentences."""
    count = rng.randint(1, 3)
    things, containers, rooms = (
        rng.sample(NOUNS, count),
        rng.sample(CONTAINERS, count),
        rng.sample(ROOMS, count),
    )
    facts = [(thing, container, True) for thing, container in zip(things, containers, strict=True)]
    facts += [(container, room, False) for container, room in zip(containers, rooms, strict=True)]
    rng.shuffle(facts)
    for inner, outer, is_thing in facts:
        document.add("The ")
        noun(document, inner) if is_thing else document.add(inner, "container")
        document.add(" is in the ").add(outer, "container" if is_thing else "room").add(". ")
    asked, form = rng.randrange(count), rng.random()
    if form < 0.6:
        noun(document.add("So the "), things[asked]).add(" is in the ")
    elif form < 0.8:
        noun(document.add("So the "), things[asked]).add(" is in the ")
        document.add(containers[asked], "container").add(" in the ")
    else:
        noun(document.add("Question: in which room is the "), things[asked]).add(
            "? Answer: in the "
        )
    document.add(rooms[asked], "room", "two-hop answer").add(". ")


def code(rng: Random, document: Document) -> None:
    form = rng.random()
    if form < 0.6:
        _brackets(rng, document)
        return
    name, age, pet = rng.choice(NAMES), rng.randint(1, 99), rng.choice(KINDS["mammal"])
    pronoun = "she" if name in FEMALE_NAMES else "he"
    records = (
        f'{{ "name" : "{name}" , "age" : {age} , "pet" : "{pet}" }}',
        f'name = "{name}" ; age = {age} ; pet = "{pet}" ;',
        f'def {pronoun} ( ) : return "{name}" , {age} , "{pet}"',
    )
    document.add(rng.choices(records, (4, 1, 1))[0], "code").add(" ")


def _brackets(rng: Random, document: Document) -> None:
    """Nested brackets; each carries the number of brackets still open after it as a label."""
    document.add("Brackets:")
    waiting: list[str] = []
    for left in range(rng.randint(4, 14), -1, -1):
        if waiting and rng.random() < 0.5:
            sign = waiting.pop()
        elif left:
            sign, closing = rng.choice(("()", "[]", "{}"))
            waiting.append(closing)
        else:
            break
        document.add(f" {sign}", "code", f"depth:{len(waiting)}")
    while waiting:
        sign = waiting.pop()
        document.add(f" {sign}", "code", f"depth:{len(waiting)}")
    document.add(". ")
