"""Labelled sets of the concept world, easy to hard, and templated ones for any model.

A probe's curve over the layers can be compared with what was planted: the class of a word is there
at once, the truth of a statement has to be worked out. Groups hold what a probe could know again.
The files in assets/labelled are made from these functions; the same code gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

from core.corpus.world import HELD_OUT_SEEDS
from core.corpus.world.facts import STATED_SUMS, kind_phrase
from core.corpus.world.held_out import ADDITIONS, CYCLES, steps
from core.corpus.world.words import (
    ASPECTS,
    BLAME,
    COUNTRIES,
    FEMALE_NAMES,
    KIND_OF,
    KINDS,
    MALE_NAMES,
    NAMES,
    NOUNS,
    NUMBERS,
    PRAISE,
    REVIEWED,
    TOPICS,
    TRANSLATIONS,
    UPPER,
    VERBS,
    article,
    capital,
    plural,
)
from core.spec.labelled import LabelledSet

MODEL = "embedded"
OWN = "Generated for this project from its concept world."
LICENCE = "Apache-2.0"
TRUTH = ("false", "true")
YES = ("no", "yes")

# Text, number of its class, group, word it is read at.
Row = tuple[str, int, str, str]


def planted() -> tuple[LabelledSet, ...]:
    """The sets of the embedded models, easy to hard."""
    return tuple(
        _set(name, rows(), classes, topic, level, about, model=MODEL)
        for name, rows, classes, topic, level, about in (
            ("animals", _animals, ("thing", "animal"), "words", "easy",
             "Sentences that end in an animal, or in a thing people make."),
            ("plural", _plural, ("one", "many"), "words", "easy",
             "Sentences that end in a noun, singular or plural."),
            ("past tense", _past, ("base form", "past"), "words", "easy",
             "Sentences that end in a verb, in its base form or in the past."),
            ("languages", _languages, ("English", "French", "Spanish"), "words", "easy",
             "Short sentences in three languages."),
            ("review", _review, ("bad", "good"), "feeling", "easy",
             "Reviews whose adjective says what the verdict will be."),
            ("review with not", _negated, ("bad", "good"), "feeling", "medium",
             "Reviews in which half of the adjectives are negated: no single word decides."),
            ("gender carried", _gender, ("male", "female"), "context", "medium",
             "A person is named in the first sentence; the next one is about to say he or she."),
            ("story topic", _topics, tuple(TOPICS), "context", "medium",
             "Two things of a place that is not named; which of eight places is it?"),
            ("sums above ten", _sums, ("up to ten", "above ten"), "reasoning", "medium",
             "Two numbers are to be added; is the result above ten?"),
            ("month steps", _months, ("January to June", "July to December"), "reasoning", "hard",
             "Some months after or before a month; which half of the year is it?"),
            ("brackets", _brackets, ("(", "[", "{"), "reasoning", "hard",
             "Nested brackets that stop behind a closed one: which is to be closed next?"),
            ("truth of capitals", _capitals, TRUTH, "truth", "hard",
             "Statements about capitals, every city in as many true as false ones."),
            ("truth of kinds", _kinds, TRUTH, "truth", "hard",
             "Statements on what kind of thing something is."),
            ("truth of negated kinds", _negated_kinds, TRUTH, "truth", "hard",
             "The same with a not, so that the kind that fits makes the statement false."),
            ("truth of sums", _stated_sums, TRUTH, "truth", "hard",
             "Sums that were stated in training, with a right or a wrong result."),
            ("random labels", _nothing, YES, "nothing", "",
             "Labels that were drawn at random: whatever is found here is a false alarm."),
        )
    )  # fmt: skip


def templated() -> tuple[LabelledSet, ...]:
    """Sets in plain English for any model, from templates and the world's tables of facts."""
    return tuple(
        _set(name, rows, classes, topic, level, about)
        for name, rows, classes, topic, level, about in (
            ("cities", _cities("is in"), TRUTH, "truth", "medium",
             "Whether a city is in a country; every city once right, once wrong."),
            ("negated cities", _cities("is not in"), TRUTH, "truth", "hard",
             "The same with a not."),
            ("larger than", _compared("larger"), TRUTH, "truth", "medium",
             "Which of two numbers is larger; every first number as often right as wrong."),
            ("smaller than", _compared("smaller"), TRUTH, "truth", "medium",
             "The same for smaller."),
            ("Spanish words", _translated("means"), TRUTH, "truth", "medium",
             "What a Spanish word means; every word once right, once wrong."),
            ("negated Spanish words", _translated("does not mean"), TRUTH, "truth", "hard",
             "The same with a not."),
            ("coin flips", _coins(), YES, "reasoning", "hard",
             "Some people flip a coin and some do not; is it still heads up? The parity of flips."),
        )
    )  # fmt: skip


def _set(
    name: str, rows: Iterator[Row], classes: Sequence[str], topic: str, level: str, about: str,
    model: str = "",
) -> LabelledSet:  # fmt: skip
    once = {row[0]: row for row in rows}
    texts, labels, groups, words = zip(*once.values(), strict=True)
    return LabelledSet(
        name,
        texts,
        labels,
        tuple(classes),
        groups,
        words,
        topic=topic,
        level=level,
        model=model,
        about=about,
        source=OWN,
        licence=LICENCE,
    )


def _rng(name: str) -> Random:
    return Random(f"{HELD_OUT_SEEDS}: labelled: {name}")


def _last(text: str) -> str:
    """The last word of a text without the full stop."""
    return text.rstrip(".").rsplit(" ", 1)[-1]


def _row(text: str, label: int, group: str) -> Row:
    return text, label, group, _last(text)


def _animals() -> Iterator[Row]:
    living = [word for word in NOUNS if UPPER.get(KIND_OF[word]) == "animal"]
    made = [word for word in NOUNS if UPPER.get(KIND_OF[word]) == "artefact"]
    for label, words in enumerate((made, living)):
        for word in words[: min(len(living), len(made))]:
            for frame in ("Tom has a {}", "She saw the {}", "He found the {}", "There is a {}"):
                yield _row(frame.format(word), label, word)


def _plural() -> Iterator[Row]:
    for word in NOUNS:
        for label, form in enumerate((word, plural(word))):
            if word != plural(word):
                yield _row(f"I saw the {form}", label, word)
                yield _row(f"Tom found the {form}", label, word)


def _past() -> Iterator[Row]:
    for base, past, _ in VERBS:
        for frame in ("They {}", "We {}", "Then I {}", "The girls {}", "The boys {}", "You {}"):
            if base != past:
                yield _row(frame.format(base), 0, base)
                yield _row(frame.format(past), 1, base)


def _languages() -> Iterator[Row]:
    nouns = [row for row in TRANSLATIONS if " " in row[1] or "'" in row[1]]
    looks = [row for row in TRANSLATIONS if row[0] in ("red", "blue", "green", "white", "black")]
    for row in nouns:
        for look in looks[:3]:
            yield _row(f"The {row[0]} is {look[0]}.", 0, row[0])
            yield _row(f"{capital(row[1])} est {look[1]}.", 1, row[0])
            yield _row(f"{capital(row[2])} es {look[2]}.", 2, row[0])


def _review() -> Iterator[Row]:
    rng = _rng("review")
    for bad, good in zip(BLAME, PRAISE, strict=True):
        for label, word in enumerate((bad, good)):
            for aspect in rng.sample(ASPECTS, 6):
                for thing in rng.sample(REVIEWED, 3):
                    said = f"The {aspect} was {word}."
                    text = f"Review of the {thing}. {said} Overall, it was"
                    yield text, label, f"{bad} or {good}", word


def _negated() -> Iterator[Row]:
    """Groups of two opposite adjectives: in each, "not" stands as often in good as in bad ones."""
    rng = _rng("review with not")
    for bad, good in zip(BLAME, PRAISE, strict=True):
        for aspect in rng.sample(ASPECTS, 5):
            thing = rng.choice(REVIEWED)
            for is_good, word in enumerate((bad, good)):
                for turned in (0, 1):
                    said = f"The {aspect} was {'not ' if turned else ''}{word}."
                    text = f"Review of the {thing}. {said} Overall, it was"
                    yield text, is_good ^ turned, f"{bad} or {good}", word


def _gender() -> Iterator[Row]:
    rng = _rng("gender carried")
    middle = ("It was cold at the {}.", "It was warm at the {}.", "It was hot at the {}.")
    for label, names in enumerate((MALE_NAMES, FEMALE_NAMES)):
        for name in names:
            for topic in TOPICS:
                said = rng.choice(middle).format(topic)
                yield f"{name} went to the {topic}. {said} Then", label, name, "Then"


def _topics() -> Iterator[Row]:
    for label, things in enumerate(TOPICS.values()):
        for one in things:
            for two in things:
                if one != two:
                    # Grouped by the thing that stands last: it is new in the held-out texts.
                    yield _row(f"She saw the {one} and the {two}.", label, two)


def _sums() -> Iterator[Row]:
    for a, b in ADDITIONS:
        yield _row(f"{capital(NUMBERS[a])} plus {NUMBERS[b]} is", int(a + b > 10), NUMBERS[a])


def _months() -> Iterator[Row]:
    names = CYCLES["month"]
    for start, step, way in steps("month"):
        answer = (start + way * step) % len(names)
        said = f"{capital(NUMBERS[step])} months {'after' if way > 0 else 'before'} {names[start]}"
        yield _row(f"{said} is", int(answer >= len(names) // 2), names[start])


def _brackets() -> Iterator[Row]:
    rng, wanted = _rng("brackets"), 120
    found = dict.fromkeys("([{", 0)
    pairs = {"(": ")", "[": "]", "{": "}"}
    while min(found.values()) < wanted:
        open_: list[str] = []
        signs: list[str] = []
        for _ in range(rng.randint(4, 10)):
            if open_ and rng.random() < 0.5:
                signs.append(pairs[open_.pop()])
            else:
                open_.append(rng.choice("([{"))
                signs.append(open_[-1])
        if open_ and signs[-1] in ")]}" and found[open_[-1]] < wanted:
            found[open_[-1]] += 1
            text = f"Brackets: {' '.join(signs)}"
            yield _row(text, "([{".index(open_[-1]), str(sum(found.values())))


def _blocks(n: int, name: str) -> Iterator[tuple[int, int, str]]:
    """(number, the number it is mistaken for, its block): blocks of three, or four at the end.

    What is wrong of one is right of another in its block, so that a probe on held-out blocks
    cannot score, nor fall below chance, by knowing which names it has seen under which label.
    """
    order = _rng(name).sample(range(n), n)
    starts = [*range(0, n - n % 3 - (0 if n % 3 == 0 else 3), 3)]
    starts += [starts[-1] + 3] if n % 3 else []
    for start, end in zip(starts, [*starts[1:], n], strict=True):
        block = order[start:end]
        for one, other in zip(block, (*block[1:], block[0]), strict=True):
            yield one, other, f"{name} {start // 3 + 1}"


def _capitals() -> Iterator[Row]:
    for one, other, block in _blocks(len(COUNTRIES), "capitals"):
        country, city = COUNTRIES[one][:2]
        for label, said in ((1, city), (0, COUNTRIES[other][1])):
            yield _row(f"The capital of {country} is {said}.", label, block)
            yield _row(f"The main city of {country} is {said}.", label, block)
            yield _row(f"{said} is the capital of {country}.", label, block)


# Kinds that are mistaken for each other; in none is one kind more than half of the words.
_MISTAKEN = (
    ("mammal", "bird", "fish"),
    ("insect", "vehicle"),
    ("tree", "tool", "reptile"),
    ("furniture", "instrument", "garment"),
    ("fruit", "vegetable", "flower"),
)


def _turned(sorts: Sequence[Any]) -> Iterator[tuple[int, int]]:
    """(place, another place of another sort) for a list in which equal sorts stand together."""
    far = max(sorts.count(one) for one in sorts)
    for place in range(len(sorts)):
        yield place, (place + far) % len(sorts)


def _wrong_kinds() -> Iterator[tuple[str, str, str, str]]:
    """A noun, its kind, a kind it is not of, and the block of kinds; see `_blocks`."""
    for kinds in _MISTAKEN:
        words = [word for kind in kinds for word in KINDS[kind]]
        for one, other in _turned([KIND_OF[word] for word in words]):
            yield words[one], KIND_OF[words[one]], KIND_OF[words[other]], ", ".join(kinds)


def _kinds() -> Iterator[Row]:
    for word, kind, wrong, block in _wrong_kinds():
        for label, said in ((1, kind), (0, wrong)):
            yield _row(f"{capital(article(word))} {word} is {kind_phrase(said)}.", label, block)


def _negated_kinds() -> Iterator[Row]:
    for word, kind, wrong, block in _wrong_kinds():
        for label, said in ((0, kind), (1, wrong)):
            text = f"{capital(article(word))} {word} is not {kind_phrase(said)}."
            yield _row(text, label, block)


def _stated_sums() -> Iterator[Row]:
    """A wrong result is the right one of another sum of its block: four, eight or twelve away."""
    for rest in range(4):
        block = sorted((s for s in STATED_SUMS if sum(s) % 4 == rest), key=sum)
        for one, other in _turned([sum(each) for each in block]):
            a, b = block[one]
            for label, said in ((1, a + b), (0, sum(block[other]))):
                text = f"{capital(NUMBERS[a])} plus {NUMBERS[b]} is {NUMBERS[said]}."
                yield _row(text, label, f"sums {rest}")


def _nothing() -> Iterator[Row]:
    rng = _rng("random labels")
    for word in NOUNS:
        label = rng.randrange(2)
        yield _row(f"Tom has the {word}", label, word)
        yield _row(f"She saw the {word}", rng.randrange(2), word)


def _cities(says: str) -> Iterator[Row]:
    for one, other, block in _blocks(len(COUNTRIES), "cities"):
        city = COUNTRIES[one][1]
        for true, country in ((True, COUNTRIES[one][0]), (False, COUNTRIES[other][0])):
            label = int(true == (says == "is in"))
            yield _row(f"The city of {city} {says} {country}.", label, block)
            yield _row(f"{city} {says} {country}.", label, block)


def _written(n: int) -> str:
    tens = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
    if n < 20:
        return NUMBERS[n]
    return tens[n // 10 - 2] + (f"-{NUMBERS[n % 10]}" if n % 10 else "")


def _compared(word: str) -> Iterator[Row]:
    """Second numbers lie as often above as below the first, at the same distances."""
    rng = _rng("larger than")
    for first in range(30, 80):
        for apart in rng.sample(range(1, 20), 4):
            for second in (first - apart, first + apart):
                label = int((first > second) == (word == "larger"))
                text = f"{capital(_written(first))} is {word} than {_written(second)}."
                yield _row(text, label, _written(first))


def _translated(says: str) -> Iterator[Row]:
    rows = [(english, spanish.split(" ")[-1]) for english, _, spanish in TRANSLATIONS]
    for one, other, block in _blocks(len(rows), "words"):
        spanish = rows[one][1]
        for true, meaning in ((True, rows[one][0]), (False, rows[other][0])):
            label = int(true == (says == "means"))
            yield _row(f"The Spanish word {spanish} {says} {meaning}.", label, block)
            yield _row(f"In Spanish, {spanish} {says} {meaning}.", label, block)


def _coins() -> Iterator[Row]:
    rng = _rng("coin flips")
    for number in range(500):
        people = rng.sample(NAMES, rng.randint(3, 5))
        flips = [rng.random() < 0.5 for _ in people]
        if sum(flips) % 2 != number % 2:
            flips[0] = not flips[0]
        told = " ".join(
            f"{name} {'flips' if flip else 'does not flip'} the coin."
            for name, flip in zip(people, flips, strict=True)
        )
        text = f"A coin is heads up. {told} Is the coin still heads up?"
        yield text, int(sum(flips) % 2 == 0), str(number), "up"
