"""Families about facts: what is a kind of what, which statement is true, where countries lie."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import TypeVar

from core.corpus.world.document import Document
from core.corpus.world.held_out import ADDITIONS, HELD_OUT_ADDITIONS
from core.corpus.world.words import (
    COUNTRIES,
    DAYS,
    FEMALE_NAMES,
    KIND_OF,
    KINDS,
    MALE_NAMES,
    MASS_NOUNS,
    NOUNS,
    NUMBERS,
    UPPER,
    article,
    capital,
    kind_labels,
    plural,
)

T = TypeVar("T")

STATED_SUMS = tuple(
    (a, b) for a, b in ADDITIONS if max(a, b) < 10 and (a, b) not in HELD_OUT_ADDITIONS
)
THINGS = {"living": "living thing", "instrument": "instrument"}


def noun(document: Document, word: str, *, many: bool = False, upper: bool = False) -> Document:
    """Add a noun with its kinds, its number and its identity as labels."""
    text = plural(word) if many else word
    return document.add(
        capital(text) if upper else text,
        *kind_labels(word),
        "plural" if many else "singular",
        f"word:{word}",
    )


def person(rng: Random) -> tuple[str, str]:
    """A name and its gender label."""
    return (
        (rng.choice(MALE_NAMES), "male")
        if rng.random() < 0.5
        else (rng.choice(FEMALE_NAMES), "female")
    )


def other(rng: Random, options: Iterable[T], *excluded: T) -> T:
    """A random option that is none of the excluded ones."""
    return rng.choice([option for option in options if option not in excluded])


def kind_phrase(kind: str, many: bool = False) -> str:
    """How a kind stands after "is" or "are": "a mammal", "living things", "food"."""
    name = THINGS.get(kind, kind)
    if kind in ("food", "furniture"):
        return name
    return plural(name) if many else f"{article(name)} {name}"


def is_a(rng: Random, document: Document) -> None:
    for _ in range(rng.randint(2, 5)):
        word = rng.choice(tuple(KIND_OF))
        kind = KIND_OF[word]
        above = UPPER.get(kind, kind)
        named = rng.choice((kind, above))
        if word in MASS_NOUNS:
            noun(document, word, upper=True).add(f" is {kind_phrase(named)}. ")
            continue
        form = rng.random()
        if form < 0.30:
            noun(document.add(capital(article(word)) + " "), word).add(
                f" is {kind_phrase(named)}. "
            )
        elif form < 0.55:
            noun(document, word, many=True, upper=True).add(
                f" are {kind_phrase(named, many=True)}. "
            )
        elif form < 0.65:
            noun(document.add(f"{capital(kind_phrase(kind))} that I know is the "), word).add(". ")
        elif form < 0.75:
            kind_word = capital(kind_phrase(kind, many=True))
            noun(document.add(f"{kind_word} such as the "), word).add(
                f" are {kind_phrase(above, many=True)}. "
            )
        else:
            wrong = other(rng, KINDS, kind, "metal", "drink")
            noun(document.add(capital(article(word)) + " "), word)
            document.add(" is ").add("not", "negation").add(f" {kind_phrase(wrong)}. ")


def _capital_statement(rng: Random, document: Document, true: bool) -> str:
    country, city = rng.choice(COUNTRIES)[:2]
    said = city if true else other(rng, [row[1] for row in COUNTRIES], city)
    if rng.random() < 0.75:
        document.add("The capital of ").add(country, "country").add(" is ").add(said, "city")
    else:
        document.add(said, "city").add(" is the capital of ").add(country, "country")
    return city


def _kind_statement(rng: Random, document: Document, true: bool) -> str:
    word = rng.choice(NOUNS)
    kind = KIND_OF[word]
    said = kind if true else other(rng, KINDS, kind)
    noun(document.add(capital(article(word)) + " "), word).add(f" is {kind_phrase(said)}")
    return kind_phrase(kind)


def _sum_statement(rng: Random, document: Document, true: bool) -> str:
    a, b = rng.choice(STATED_SUMS)
    said = a + b if true else other(rng, range(19), a + b)
    document.add(capital(NUMBERS[a]), "number").add(" plus ").add(NUMBERS[b], "number")
    document.add(" is ").add(NUMBERS[said], "number")
    return NUMBERS[a + b]


def _day_statement(rng: Random, document: Document, true: bool) -> str:
    day = rng.randrange(7)
    after = DAYS[(day + 1) % 7]
    said = after if true else other(rng, DAYS, after)
    document.add("The day after ").add(DAYS[day], "day").add(" is ").add(said, "day")
    return after


STATEMENTS = (_capital_statement, _kind_statement, _sum_statement, _day_statement)


def truth(rng: Random, document: Document) -> None:
    """A statement, its truth as a label on the full stop, and the verdict in words."""
    for _ in range(rng.randint(1, 3)):
        true = rng.random() < 0.5
        right = rng.choices(STATEMENTS, (35, 25, 20, 20))[0](rng, document, true)
        document.add(".", "true statement" if true else "false statement")
        verdict = "true" if true else "false"
        form = rng.random()
        if form < 0.7:
            document.add(" That is ").add(verdict, "truth verdict").add(".")
        elif form < 0.85:
            document.add(" True or false? It is ").add(verdict, "truth verdict").add(".")
        else:
            document.add(" This statement is ").add(verdict, "truth verdict").add(".")
        document.add(" " if true or rng.random() < 0.5 else f" It is {right}. ")


def geography(rng: Random, document: Document) -> None:
    for country, city, language, continent in rng.sample(COUNTRIES, rng.randint(2, 4)):
        form = rng.random()
        if form < 0.30:
            document.add("The capital of ").add(country, "country").add(" is ").add(
                city, "city"
            ).add(". ")
        elif form < 0.42:
            document.add(city, "city").add(" is the capital of ").add(country, "country").add(". ")
        elif form < 0.48:
            document.add("The main city of ").add(country, "country").add(" is ").add(
                city, "city"
            ).add(". ")
        elif form < 0.60:
            document.add("People in ").add(country, "country").add(" speak ").add(
                language, "language"
            ).add(". ")
        elif form < 0.66:
            document.add("In ").add(city, "city").add(" you hear ").add(language, "language").add(
                ". "
            )
        elif form < 0.76:
            document.add(country, "country").add(" is in ").add(continent, "continent").add(". ")
        elif form < 0.86:
            document.add(city, "city").add(" is a city in ").add(continent, "continent").add(". ")
        else:
            _resident(rng, document, country, city, language)


def _resident(rng: Random, document: Document, country: str, city: str, language: str) -> None:
    name, gender = person(rng)
    pronoun = "he" if gender == "male" else "she"
    document.add(name, gender, "name").add(" lives in ").add(city, "city").add(". So ").add(
        pronoun, gender
    )
    document.add(" lives in the country of ").add(country, "country")
    document.add(", where people speak ").add(language, "language").add(". ")
