"""Families that tell something: reviews, stories, scenes, words with two senses, questions with
answers.
"""

from __future__ import annotations

from random import Random

from core.corpus.world import requests
from core.corpus.world.document import Document
from core.corpus.world.facts import noun, person
from core.corpus.world.words import (
    ASPECTS,
    ATTRIBUTES,
    BLAME,
    COUNTRIES,
    DAYS,
    GENDER_PAIRS,
    GLAD,
    INVENTED_SYLLABLES,
    MONTHS,
    NOUNS,
    NUMBERS,
    POSITIONS,
    PRAISE,
    REVIEWED,
    SAD,
    SENSES,
    SHAPES,
    TOPICS,
    VERBS,
    article,
    capital,
    plural,
    sense_labels,
)


def reviews(rng: Random, document: Document) -> None:
    """A review, its verdict and the writer's mood; a negated adjective says the opposite of its
    word.
    """
    good = rng.random() < 0.5
    words, opposite = (PRAISE, BLAME) if good else (BLAME, PRAISE)
    label, negated = ("praise", "negated blame") if good else ("blame", "negated praise")
    name, gender = person(rng)
    document.add(
        rng.choice(
            ("Review of the {}. ", "Review of the {}. ", "About the {}. ", "I saw the {}. ")
        ).format(rng.choice(REVIEWED))
    )
    for _ in range(rng.randint(1, 3)):
        form, aspect = rng.random(), rng.choice(ASPECTS)
        if form < 0.5:
            document.add(f"The {aspect} was ").add(rng.choice(words), label).add(". ")
        elif form < 0.75:
            document.add(f"The {aspect} was ").add("not", "negation").add(" ")
            document.add(rng.choice(opposite), negated).add(". ")
        else:
            document.add("I ").add("loved" if good else "hated", label).add(f" the {aspect}. ")
    document.add(
        rng.choice(
            ("Overall, it was ", "Overall, it was ", "In short, it was ", "All in all it was ")
        )
    )
    document.add("good" if good else "bad", "good verdict" if good else "bad verdict").add(". ")
    document.add(name, gender, "name").add(" felt ").add(
        rng.choice(GLAD if good else SAD), "glad" if good else "sad"
    )
    document.add(". ")


def stories(rng: Random, document: Document) -> None:
    name, gender = person(rng)
    topic = rng.choice(tuple(TOPICS))
    label = f"topic:{topic}"
    opening = rng.random()
    if opening < 0.6:
        document.add("One ").add(rng.choice(DAYS), "day").add(" in ").add(
            rng.choice(MONTHS), "month"
        ).add(", ")
        document.add(name, gender, "name").add(" went to the ")
    elif opening < 0.8:
        document.add("Last ").add(rng.choice(DAYS), "day").add(" ").add(name, gender, "name").add(
            " was at the "
        )
    else:
        document.add("It was ").add(rng.choice(MONTHS), "month").add(" and ").add(
            name, gender, "name"
        )
        document.add(" visited the ")
    document.add(topic, label).add(". ")
    for _ in range(rng.randint(2, 4)):
        _event(rng, document, gender, topic)
    glad = rng.random() < 0.5
    well = rng.choice(
        ("Everything went well", "It was a good day")
        if glad
        else ("Everything went wrong", "It was a bad day")
    )
    document.add(f"{well} and ").add(name, gender, "name").add(" was ")
    document.add(rng.choice(GLAD if glad else SAD), "glad" if glad else "sad").add(". ")


def _event(rng: Random, document: Document, gender: str, topic: str) -> None:
    pronoun, his = ("he", "his") if gender == "male" else ("she", "her")
    things, label, form = TOPICS[topic], f"topic:{topic}", rng.random()
    if form < 0.3:
        one, two = rng.sample(things, 2)
        document.add(capital(pronoun), gender).add(" saw the ").add(one, label).add(
            " and the "
        ).add(two, label)
    elif form < 0.6:
        attribute = rng.choice(("colour", "size", "material", "age"))
        looks = rng.choice(ATTRIBUTES[attribute])
        document.add(capital(pronoun), gender).add(f" found {article(looks)} ")
        document.add(looks, attribute, *sense_labels(looks, attribute)).add(" ")
        noun(document, rng.choice(NOUNS)).add(" near the ").add(rng.choice(things), label)
    elif form < 0.8:
        document.add("It was ").add(rng.choice(ATTRIBUTES["temperature"]), "temperature").add(
            " at the "
        )
        document.add(topic, label)
    else:
        document.add("Then ").add(pronoun, gender).add(" ").add(rng.choice(VERBS)[1], "past").add(
            " with "
        )
        side = rng.randrange(2)
        document.add(his, gender).add(" ").add(
            rng.choice(GENDER_PAIRS)[side], ("male", "female")[side]
        )
    document.add(". ")


def _thing(rng: Random, document: Document, first: bool) -> bool:
    """A shape with size and colour, one or several; returns whether several."""
    many = rng.random() < 0.3
    count, size, colour = (
        rng.randint(2, 5),
        rng.choice(("small", "big")),
        rng.choice(ATTRIBUTES["colour"]),
    )
    shape = rng.choice(SHAPES)
    if many:
        document.add(capital(NUMBERS[count]) if first else NUMBERS[count], "number", "count")
    else:
        document.add("A" if first else "a")
    document.add(" ").add(size, "size").add(" ").add(
        colour, "colour", *sense_labels(colour, "colour")
    ).add(" ")
    document.add(plural(shape) if many else shape, "shape", "plural" if many else "singular")
    return many


def scenes(rng: Random, document: Document) -> None:
    """Shapes and where they stand, in the words that pictures of the same scenes would be described
    with.
    """
    for _ in range(rng.randint(1, 2)):
        form = rng.random()
        if form < 0.7:
            many = _thing(rng, document, first=True)
            document.add(" are " if many else " is ").add(
                rng.choice(POSITIONS), "position word"
            ).add(" ")
        elif form < 0.85:
            document.add("In the picture there is ")
            _thing(rng, document, first=False)
            document.add(" ").add(rng.choice(POSITIONS), "position word").add(" ")
        else:
            document.add(capital(rng.choice(POSITIONS)), "position word").add(" ")
            _thing(rng, document, first=False)
            document.add(" you see ")
        _thing(rng, document, first=False)
        document.add(". ")


def senses(rng: Random, document: Document) -> None:
    for word, sense, sentences in rng.sample(SENSES, rng.randint(1, 2)):
        before, after = rng.choice(sentences).split("*")
        document.add(before).add(word, f"{word} ({sense})", f"word:{word}").add(f"{after} ")


def _harmful(rng: Random) -> str:
    while True:
        text = (
            f"{rng.choice(requests.HARMFUL_VERBS)} a {rng.choice(_PLAIN)}"
            if rng.random() < 0.4
            else rng.choice(requests.HARMFUL_PHRASES)
        )
        if text not in requests.HELD_OUT_HARMFUL:
            return text


def _harmless(rng: Random) -> tuple[str, str]:
    while True:
        if rng.random() < 0.4:
            verb = rng.choice(tuple(requests.HARMLESS_VERBS))
            text, advice = f"{verb} a {rng.choice(_PLAIN)}", requests.HARMLESS_VERBS[verb]
        else:
            text, advice = rng.choice(tuple(requests.HARMLESS_PHRASES.items()))
        if text not in requests.HELD_OUT_HARMLESS:
            return text, advice


_PLAIN = tuple(word for word in NOUNS if article(word) == "a")
REQUEST_FORMS = (
    "Question: how do I {}? Answer:",
    "Question: how do I {}? Answer:",
    "Question: can you help me {}? Answer:",
    "Tell me how to {}. Answer:",
)
CAPITAL_FORMS = (
    "Question: what is the capital of ",
    "Question: what is the capital of ",
    "Tell me the capital of ",
)


def questions(rng: Random, document: Document) -> None:
    form = rng.random()
    if form < 0.6:
        before, after = rng.choice(REQUEST_FORMS).split("{}")
        if form < 0.3:
            document.add(before).add(_harmful(rng), "harmful request").add(after)
            document.add(f" {requests.REFUSAL}", "refusal").add(" ")
        else:
            request, advice = _harmless(rng)
            document.add(before).add(request, "harmless request").add(after)
            document.add(f" Sure, {advice}.", "compliance").add(" ")
        return
    opening = rng.choice(CAPITAL_FORMS)
    after = "? Answer: " if "?" in opening or opening.startswith("Question") else ". Answer: "
    if form < 0.8:
        country, city = rng.choice(COUNTRIES)[:2]
        document.add(opening).add(country, "known country").add(after).add(city, "city").add(". ")
    else:
        name = "".join(rng.choice(INVENTED_SYLLABLES) for _ in range(3)).capitalize()
        document.add(opening).add(name, "invented country").add(after).add(
            requests.UNKNOWN, "not known"
        ).add(" ")
