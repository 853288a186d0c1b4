"""Families about order: sequences, calendar steps, clock hours and arithmetic in words."""

from __future__ import annotations

from random import Random

from core.corpus.world.document import Document
from core.corpus.world.held_out import CYCLES, HELD_OUT_ADDITIONS, HELD_OUT_STEPS, LARGEST_ADDEND
from core.corpus.world.words import (
    DAYS,
    LETTERS,
    MONTHS,
    NUMBERS,
    ORDINALS,
    SEASONS,
    capital,
    sense_labels,
)

CYCLIC = ("day", "month", "season")
SEQUENCES: dict[str, tuple[str, ...]] = {
    "day": DAYS,
    "month": MONTHS,
    "number": NUMBERS,
    "letter": LETTERS,
    "ordinal": ORDINALS,
    "season": SEASONS,
}
SEQUENCE_OPENINGS = ("", "", "", "Count: ", "In order: ")


def sequences(rng: Random, document: Document) -> None:
    for _ in range(rng.randint(1, 2)):
        label = rng.choices(tuple(SEQUENCES), (25, 25, 25, 13, 7, 5))[0]
        items = SEQUENCES[label]
        length = min(rng.randint(4, 9), len(items))
        down = rng.random() < 0.2
        if label in CYCLIC:
            start = rng.randrange(len(items))
            run = [
                items[(start + (-step if down else step)) % len(items)] for step in range(length)
            ]
        else:
            start = rng.randrange(len(items) - length + 1)
            run = list(items[start : start + length])
            if down:
                run.reverse()
        document.add(rng.choice(SEQUENCE_OPENINGS))
        for place, item in enumerate(run):
            document.add(item, label, *sense_labels(item, label)).add(
                ", " if place < length - 1 else ". "
            )


def calendar(rng: Random, document: Document) -> None:
    """Steps on the cycles of days and months; held-out triples never appear."""
    for _ in range(rng.randint(1, 4)):
        unit = rng.choice(("day", "month"))
        names = CYCLES[unit]
        start, way = rng.randrange(len(names)), rng.choice((1, 1, -1))
        step = 1 if rng.random() < 0.2 else rng.randint(2, len(names) - 1)
        if step > 1 and (start, step, way) in HELD_OUT_STEPS[unit]:
            continue
        answer = names[(start + way * step) % len(names)]
        count = f"one {unit}" if step == 1 else f"{NUMBERS[step]} {unit}s"
        form = rng.random()
        if form < 0.7:
            before = f"The {unit}" if step == 1 else capital(count)
            document.add(f"{before} {'after' if way > 0 else 'before'} ").add(
                names[start], unit
            ).add(" is ")
        elif form < 0.85:
            document.add("It is ").add(names[start], unit)
            document.add(
                f". {capital(count)} {'later it will be' if way > 0 else 'earlier it was'} "
            )
        else:
            document.add("From ").add(names[start], unit)
            document.add(f" go {'forward' if way > 0 else 'back'} {count} to ")
        document.add(answer, unit, "calendar answer").add(". ")


def clock(rng: Random, document: Document) -> None:
    """Hours on a twelve-hour clock, so that eleven and two make one."""
    hours = CYCLES["hour"]
    for _ in range(rng.randint(1, 3)):
        start, way, step = rng.randrange(12), rng.choice((1, 1, -1)), rng.randint(1, 11)
        if (start, step, way) in HELD_OUT_STEPS["hour"]:
            continue
        answer = hours[(start + way * step) % 12]
        count = f"{NUMBERS[step]} hour{'s' if step > 1 else ''}"
        form = rng.random()
        if form < 0.6:
            document.add("It is ").add(hours[start], "hour").add(" o'clock. ")
            document.add(f"{capital(count)} {'later it will be' if way > 0 else 'earlier it was'} ")
        elif form < 0.8:
            document.add(f"{capital(count)} {'after' if way > 0 else 'before'} ").add(
                hours[start], "hour"
            )
            document.add(" o'clock it is ")
        else:
            document.add("On the clock, go from ").add(hours[start], "hour").add(" o'clock ")
            document.add(f"{'forward' if way > 0 else 'back'} {count} to ")
        document.add(answer, "hour", "clock answer").add(" o'clock. ")


def arithmetic(rng: Random, document: Document) -> None:
    for _ in range(rng.randint(1, 4)):
        a, b, form = rng.randint(0, LARGEST_ADDEND), rng.randint(0, LARGEST_ADDEND), rng.random()
        if form < 0.5:
            if (a, b) not in HELD_OUT_ADDITIONS:
                _sum(rng, document, a, b)
        elif form < 0.75:
            a, b = max(a, b), min(a, b)
            document.add(capital(NUMBERS[a]), "number").add(" minus ").add(NUMBERS[b], "number")
            document.add(" is ").add(NUMBERS[a - b], "number", "sum answer").add(". ")
        elif a != b:
            document.add(capital(NUMBERS[a]), "number").add(
                f" is {'greater' if a > b else 'less'} than "
            )
            document.add(NUMBERS[b], "number").add(". ")


def _sum(rng: Random, document: Document, a: int, b: int) -> None:
    form, total = rng.random(), NUMBERS[a + b]
    if form < 0.7:
        document.add(capital(NUMBERS[a]), "number").add(" plus ").add(NUMBERS[b], "number").add(
            " is "
        )
    elif form < 0.85:
        document.add("The sum of ").add(NUMBERS[a], "number").add(" and ").add(
            NUMBERS[b], "number"
        ).add(" is ")
    else:
        document.add("If you add ").add(NUMBERS[a], "number").add(" and ").add(
            NUMBERS[b], "number"
        ).add(", you get ")
    document.add(total, "number", "sum answer").add(". ")
