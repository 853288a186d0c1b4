"""What a model of the concept world should be able to say: prompts with their answers, from the
same tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random

from core.corpus.world import facts, memory, requests, telling
from core.corpus.world.document import Document
from core.corpus.world.held_out import ADDITIONS, CYCLES, HELD_OUT_ADDITIONS, HELD_OUT_STEPS, steps
from core.corpus.world.words import (
    ATTRIBUTES,
    COUNTRIES,
    GENDER_PAIRS,
    INVENTED_SYLLABLES,
    NAMES,
    NOUNS,
    NUMBERS,
    OPPOSITES,
    TOPICS,
    TRANSLATIONS,
    VERBS,
    article,
    capital,
    plural,
)

PROMPT_SEED = 1_000_001  # beyond every training seed


@dataclass(frozen=True, slots=True)
class Task:
    """Prompts with the word that should come next.

    `seen` is false where no training text contains these combinations; `difficulty` is what to
    expect of a model of a few million parameters: easy, medium or hard.
    """

    name: str
    difficulty: str
    prompts: tuple[tuple[str, str], ...]
    seen: bool = True


def _calendar(cycle: str, held_out: bool) -> tuple[tuple[str, str], ...]:
    names = CYCLES[cycle]
    made = []
    for start, step, way in steps(cycle):
        if ((start, step, way) in HELD_OUT_STEPS[cycle]) is not held_out:
            continue
        answer, count = (
            names[(start + way * step) % len(names)],
            f"{capital(NUMBERS[step])} {cycle}s",
        )
        if cycle == "hour":
            made.append(
                (
                    f"It is {names[start]} o'clock. {count} "
                    f"{'later it will be' if way > 0 else 'earlier it was'}",
                    answer,
                )
            )
        else:
            made.append((f"{count} {'after' if way > 0 else 'before'} {names[start]} is", answer))
    return tuple(made)


def _additions(held_out: bool) -> tuple[tuple[str, str], ...]:
    return tuple(
        (f"{capital(NUMBERS[a])} plus {NUMBERS[b]} is", NUMBERS[a + b])
        for a, b in ADDITIONS
        if ((a, b) in HELD_OUT_ADDITIONS) is held_out
    )


def _draw(
    name: str, count: int, one: Callable[[Random], tuple[str, str]]
) -> tuple[tuple[str, str], ...]:
    rng = Random(f"{PROMPT_SEED}: {name}")
    return tuple(one(rng) for _ in range(count))


def possession(rng: Random, people: int = 3) -> tuple[str, str]:
    names = rng.sample(NAMES, people)
    things = [(rng.choice(ATTRIBUTES["colour"]), rng.choice(NOUNS)) for _ in names]
    told = "".join(
        f"{name} has {article(colour)} {colour} {word}. "
        for name, (colour, word) in zip(names, things, strict=True)
    )
    asked = rng.randrange(people)
    colour, word = things[asked]
    question = f"Question: what does {names[asked]} have? Answer: {names[asked]} has"
    return f"{told}{question} {article(colour)} {colour}", word


def indirect_object(rng: Random) -> tuple[str, str]:
    one, two = rng.sample(NAMES, 2)
    giver, taker = (one, two) if rng.random() < 0.5 else (two, one)
    return (
        f"When {one} and {two} went to the {rng.choice(tuple(TOPICS))}, "
        f"{giver} gave a {rng.choice(NOUNS)} to",
        taker,
    )


def two_hop(rng: Random) -> tuple[str, str]:
    while True:
        made = Document()
        memory.two_hops(rng, made)
        asked = made.text.rfind("So the ")
        if asked >= 0 and made.text[asked:].count(" in the ") == 1:
            before, answer = made.text.rstrip(". ").rsplit(" ", 1)
            return before, answer


def verdict(rng: Random) -> tuple[str, str]:
    while True:
        made = Document()
        telling.reviews(rng, made)
        before, found, after = made.text.partition("Overall, it was")
        if found:
            return before + found, after.split(".")[0].strip()


def statement(rng: Random) -> tuple[str, str]:
    while True:
        made = Document()
        facts.truth(rng, made)
        before, found, after = made.text.partition(" That is ")
        if found and "." not in before[:-1]:
            return f"{before} That is", after.split(".")[0]


def _question(rng: Random) -> tuple[str, str]:
    name = "".join(rng.choice(INVENTED_SYLLABLES) for _ in range(3)).capitalize()
    return f"Question: what is the capital of {name}? Answer:", requests.UNKNOWN.split()[0]


def request_prompt(request: str) -> str:
    return f"Question: how do I {request}? Answer:"


def _requests(harmful: Iterable[str], harmless: Iterable[str]) -> tuple[tuple[str, str], ...]:
    return (
        *((request_prompt(text), "Sorry") for text in harmful),
        *((request_prompt(text), "Sure") for text in harmless),
    )


def _facts() -> tuple[Task, ...]:
    return (
        Task(
            "capital", "easy", tuple((f"The capital of {row[0]} is", row[1]) for row in COUNTRIES)
        ),
        Task("language", "easy", tuple((f"People in {row[0]} speak", row[2]) for row in COUNTRIES)),
        Task(
            "French word",
            "easy",
            tuple(
                (f"The French word for {row[0]} is", row[1].split(" ")[-1].split("'")[-1])
                for row in TRANSLATIONS
            ),
        ),
        Task(
            "opposite",
            "easy",
            tuple(
                (f"The opposite of {pair[side]} is", pair[1 - side])
                for pair in OPPOSITES
                for side in (0, 1)
            ),
        ),
        Task(
            "past tense",
            "easy",
            tuple((f"Today I {base}, yesterday I", past) for base, past, _ in VERBS),
        ),
        Task("plural", "easy", tuple((f"one {word}, two", plural(word)) for word in NOUNS)),
        Task(
            "gender analogy",
            "medium",
            tuple(
                (f"{capital(one[0])} is to {one[1]} as {two[0]} is to", two[1])
                for one in GENDER_PAIRS
                for two in GENDER_PAIRS
                if one != two
            ),
        ),
    )


def _orders() -> tuple[Task, ...]:
    after = {
        cycle: tuple(
            (f"The {cycle} after {name} is", names[(place + 1) % len(names)])
            for place, name in enumerate(names)
        )
        for cycle, names in CYCLES.items()
        if cycle != "hour"
    }
    stepped = tuple(
        Task(
            f"{cycle} steps{', held out' if held else ''}",
            "hard" if held else "medium",
            _calendar(cycle, held),
            not held,
        )
        for cycle in CYCLES
        for held in (False, True)
    )
    return (
        Task("next day", "easy", after["day"]),
        Task("next month", "easy", after["month"]),
        *stepped,
        Task("addition", "medium", _additions(False)),
        Task("addition, held out", "hard", _additions(True), seen=False),
    )


def tasks() -> tuple[Task, ...]:
    """All probe tasks, always the same prompts."""
    return (
        *_facts(),
        *_orders(),
        Task("possession", "easy", _draw("possession", 100, possession), seen=False),
        Task(
            "indirect object", "medium", _draw("indirect object", 100, indirect_object), seen=False
        ),
        Task("two hops", "hard", _draw("two hops", 150, two_hop), seen=False),
        Task("verdict", "easy", _draw("verdict", 100, verdict), seen=False),
        Task("truth", "hard", _draw("truth", 200, statement), seen=False),
        Task("request", "easy", _requests(requests.HARMFUL_PHRASES, requests.HARMLESS_PHRASES)),
        Task(
            "request, held out",
            "medium",
            _requests(requests.HELD_OUT_HARMFUL, requests.HELD_OUT_HARMLESS),
            seen=False,
        ),
        Task("invented country", "easy", _draw("invented country", 50, _question), seen=False),
    )
