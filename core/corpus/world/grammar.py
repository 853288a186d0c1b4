"""Families about words and their forms: gender, opposites, degrees, tense, number, other languages,
register.
"""

from __future__ import annotations

from random import Random

from core.corpus.world.document import Document
from core.corpus.world.facts import noun, person
from core.corpus.world.words import (
    DEGREES,
    GENDER_PAIRS,
    NOUNS,
    NUMBERS,
    OPPOSITES,
    TRANSLATIONS,
    VERBS,
    article,
    capital,
)

GENDERS = ("male", "female")
LANGUAGES = ("French", "Spanish")
PAINTED = ("red", "blue", "green", "white", "black", "big", "small")


def gender(rng: Random, document: Document) -> None:
    for pair in rng.sample(GENDER_PAIRS, rng.randint(1, 3)):
        form, side = rng.random(), rng.randrange(2)
        if form < 0.2:
            document.add("The word for a female ").add(pair[0], "male").add(" is ").add(
                pair[1], "female"
            ).add(". ")
        elif form < 0.5:
            again = rng.choice(GENDER_PAIRS)
            document.add(capital(pair[side]), GENDERS[side]).add(" is to ").add(
                pair[1 - side], GENDERS[1 - side]
            )
            document.add(" as ").add(again[side], GENDERS[side]).add(" is to ")
            document.add(again[1 - side], GENDERS[1 - side]).add(". ")
        elif form < 0.6:
            document.add(f"Not {article(pair[side])} ").add(pair[side], GENDERS[side]).add(
                f" but {article(pair[1 - side])} "
            )
            document.add(pair[1 - side], GENDERS[1 - side]).add(". ")
        else:
            verb = rng.choice(VERBS)
            document.add("The ").add(pair[side], GENDERS[side]).add(" said that ")
            document.add(("he", "she")[side], GENDERS[side]).add(f" {verb[1]} with ")
            document.add(("his", "her")[side], GENDERS[side]).add(" friend. ")


def opposites(rng: Random, document: Document) -> None:
    if rng.random() < 0.5:
        for pair in rng.sample(OPPOSITES, rng.randint(1, 3)):
            side = rng.randrange(2)
            one, two = pair[side], pair[1 - side]
            form = rng.random()
            before = (
                f"The opposite of {one} is "
                if form < 0.6
                else (f"Not {one} but " if form < 0.8 else f"If it is not {one}, it is ")
            )
            document.add(before).add(two, "opposite").add(". ")
        return
    for small, more, most in rng.sample(DEGREES, rng.randint(1, 2)):
        one, two, three = (person(rng)[0] for _ in range(3))
        form = rng.random()
        if form < 0.6:
            document.add(f"{one} is ").add(small, "positive degree").add(f", {two} is ").add(
                more, "comparative"
            )
            document.add(f" and {three} is the ").add(most, "superlative").add(". ")
        elif form < 0.8:
            document.add(f"{one} is ").add(small, "positive degree").add(f", but {two} is ")
            document.add(more, "comparative").add(f" than {one}. ")
        else:
            document.add(small, "positive degree").add(", ").add(more, "comparative").add(", ")
            document.add(most, "superlative").add(". ")


def tense(rng: Random, document: Document) -> None:
    for base, past, ing in rng.sample(VERBS, rng.randint(1, 3)):
        (name, label), form = person(rng), rng.random()
        if form < 0.3:
            document.add("Yesterday ").add(name, label, "name").add(" ").add(past, "past").add(". ")
        elif form < 0.5:
            document.add("Tomorrow ").add(name, label, "name").add(" will ").add(
                base, "base form"
            ).add(". ")
        elif form < 0.7:
            document.add("Now ").add(name, label, "name").add(" is ").add(ing, "ing form").add(". ")
        elif form < 0.85:
            document.add("Today I ").add(base, "base form").add(", yesterday I ").add(past, "past")
            document.add(", and now I am ").add(ing, "ing form").add(". ")
        else:
            document.add(name, label, "name").add(" likes to ").add(base, "base form").add(" and ")
            document.add(past, "past").add(" last week. ")


def number(rng: Random, document: Document) -> None:
    for word in rng.sample(NOUNS, rng.randint(2, 4)):
        form, count = rng.random(), NUMBERS[rng.randint(2, 12)]
        if form < 0.4:
            noun(document.add("one ", "number"), word).add(", ").add(count, "number").add(" ")
            noun(document, word, many=True).add(". ")
        elif form < 0.65:
            noun(document.add("The "), word).add(" is here. The ")
            noun(document, word, many=True).add(" are here. ")
        elif form < 0.8:
            noun(document.add("There are ").add(count, "number").add(" "), word, many=True).add(
                ". "
            )
        elif form < 0.9:
            noun(document.add(f"There is {article(word)} "), word).add(". ")
        else:
            noun(document.add("I had one ", "number"), word).add(", and now I have many ")
            noun(document, word, many=True).add(". ")


def _foreign_sentence(rng: Random, language: int) -> str:
    nouns = [row for row in TRANSLATIONS if " " in row[1] or "'" in row[1]]
    one, two = rng.choice(nouns)[1 + language], rng.choice(nouns)[1 + language]
    looks = rng.choice([row for row in TRANSLATIONS if row[0] in PAINTED])[1 + language]
    forms = (
        (
            f"{capital(one)} est {looks}. ",
            f"{capital(one)} mange avec {two}. ",
            f"Je vois {one} et {two}. ",
            f"{capital(one)} est dans la maison. ",
        ),
        (
            f"{capital(one)} es {looks}. ",
            f"{capital(one)} come con {two}. ",
            f"Veo {one} y {two}. ",
            f"{capital(one)} está en la casa. ",
        ),
    )
    return rng.choices(forms[language], (4, 2, 2, 2))[0]


def languages(rng: Random, document: Document) -> None:
    language = rng.randrange(2)
    if rng.random() >= 0.5:
        for _ in range(rng.randint(2, 4)):
            document.add(_foreign_sentence(rng, language), f"{LANGUAGES[language]} text")
        return
    for row in rng.sample(TRANSLATIONS, rng.randint(1, 3)):
        language = rng.randrange(2)
        name, label = LANGUAGES[language], f"{LANGUAGES[language]} text"
        word = row[1 + language].split(" ")[-1].split("'")[-1]
        form = rng.random()
        if form < 0.6:
            document.add(f"The {name} word for {row[0]} is ").add(word, label).add(". ")
        elif form < 0.85:
            document.add(f"In {name}, ").add(word, label).add(f" means {row[0]}. ")
        else:
            document.add(f"{capital(row[0])} is ").add(word, label).add(f" in {name}. ")


FORMAL = (
    "Dear {name}, I would be grateful if you could lend me the {thing}. "
    "Yours faithfully, {other}. ",
    ("Dear {name}, please allow me to return the {thing}. Kind regards, {other}. "),
    ("Dear {name}, I regret to inform you that the {thing} is lost. Yours sincerely, {other}. "),
)
CASUAL = (
    ("Hey {name}, can I have the {thing}? Thanks, see you, {other}! "),
    ("Hi {name}, got the {thing} back here. Cool, bye, {other}! "),
    ("Hey {name}, oops, the {thing} is gone. No worries, bye, {other}! "),
)


def register(rng: Random, document: Document) -> None:
    """The same three messages, once formal and once casual."""
    label, forms = rng.choice((("formal", FORMAL), ("casual", CASUAL)))
    text = rng.choice(forms).format(
        name=person(rng)[0], other=person(rng)[0], thing=rng.choice(NOUNS)
    )
    document.add(text, label)
