"""Labelled sets of the concept world, easy to hard, and templated ones for any model.

A probe's curve over the layers can be compared with what was planted: the class of a word is there
at once, the truth of a statement has to be worked out. Groups hold what a probe could know again.
The files in assets/labelled are made from these functions; the same code gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

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
    for label, words in enumerate((BLAME, PRAISE)):
        for word in words:
            for aspect in rng.sample(ASPECTS, 6):
                for thing in rng.sample(REVIEWED, 3):
                    said = f"The {aspect} was {word}."
                    yield f"Review of the {thing}. {said} Overall, it was", label, word, word


def _negated() -> Iterator[Row]:
    rng = _rng("review with not")
    for good, words in enumerate((BLAME, PRAISE)):
        for word in words:
            for turned in (0, 1):
                for aspect in rng.sample(ASPECTS, 5):
                    thing = rng.choice(REVIEWED)
                    said = f"The {aspect} was {'not ' if turned else ''}{word}."
                    text = f"Review of the {thing}. {said} Overall, it was"
                    yield text, good ^ turned, word, word


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


def _turned(n: int, rng: Random) -> list[int]:
    """Numbers in an order in which none is at its own place."""
    while True:
        order = rng.sample(range(n), n)
        if all(place != number for place, number in enumerate(order)):
            return order


def _capitals() -> Iterator[Row]:
    frames = ("The capital of {} is {}.", "The main city of {} is {}.")
    for number, frame in enumerate(frames):
        wrong = _turned(len(COUNTRIES), _rng(f"capitals {number}"))
        for row, other in zip(COUNTRIES, wrong, strict=True):
            yield _row(frame.format(row[0], row[1]), 1, row[0])
            yield _row(frame.format(row[0], COUNTRIES[other][1]), 0, row[0])
    wrong = _turned(len(COUNTRIES), _rng("capitals turned"))
    for row, other in zip(COUNTRIES, wrong, strict=True):
        yield _row(f"{row[1]} is the capital of {row[0]}.", 1, row[0])
        yield _row(f"{COUNTRIES[other][1]} is the capital of {row[0]}.", 0, row[0])


def _wrong_kinds(name: str) -> Iterator[tuple[str, str, str]]:
    """A noun, its kind, and a kind it is not of."""
    rng = _rng(name)
    for word in NOUNS:
        kind = KIND_OF[word]
        others = [one for one in KINDS if one not in (kind, "drink", "metal")]
        yield word, kind, rng.choice(others)


def _kinds() -> Iterator[Row]:
    for word, kind, wrong in _wrong_kinds("kinds"):
        for label, said in ((1, kind), (0, wrong)):
            yield _row(f"{capital(article(word))} {word} is {kind_phrase(said)}.", label, word)


def _negated_kinds() -> Iterator[Row]:
    for word, kind, wrong in _wrong_kinds("negated kinds"):
        for label, said in ((0, kind), (1, wrong)):
            text = f"{capital(article(word))} {word} is not {kind_phrase(said)}."
            yield _row(text, label, word)


def _stated_sums() -> Iterator[Row]:
    rng = _rng("sums")
    for a, b in STATED_SUMS:
        wrong = rng.choice([n for n in range(19) if n != a + b])
        for label, said in ((1, a + b), (0, wrong)):
            text = f"{capital(NUMBERS[a])} plus {NUMBERS[b]} is {NUMBERS[said]}."
            yield _row(text, label, f"{NUMBERS[a]} plus {NUMBERS[b]}")


def _nothing() -> Iterator[Row]:
    rng = _rng("random labels")
    for word in NOUNS:
        label = rng.randrange(2)
        yield _row(f"Tom has the {word}", label, word)
        yield _row(f"She saw the {word}", rng.randrange(2), word)


def _cities(says: str) -> Iterator[Row]:
    for frame in ("The city of {} {} {}.", "{} {} {}."):
        wrong = _turned(len(COUNTRIES), _rng(f"cities {frame}"))
        for row, other in zip(COUNTRIES, wrong, strict=True):
            for true, country in ((True, row[0]), (False, COUNTRIES[other][0])):
                label = int(true == (says == "is in"))
                yield _row(frame.format(row[1], says, country), label, row[1])


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
    for frame in ("The Spanish word {} {} {}.", "In Spanish, {} {} {}."):
        wrong = _turned(len(rows), _rng(f"Spanish {frame}"))
        for (english, spanish), other in zip(rows, wrong, strict=True):
            for true, meaning in ((True, english), (False, rows[other][0])):
                label = int(true == (says == "means"))
                yield _row(frame.format(spanish, says, meaning), label, spanish)


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
