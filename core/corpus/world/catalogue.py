"""Everything that was planted in the concept world, as one plain table for concepts.json and the
concept library.
"""

from __future__ import annotations

from core.corpus.world import FAMILIES, generate
from core.corpus.world import words as w
from core.corpus.world.held_out import ADDITIONS, CYCLES, HELD_OUT_ADDITIONS, HELD_OUT_STEPS
from core.corpus.world.requests import (
    HARMFUL_PHRASES,
    HARMLESS_PHRASES,
    HELD_OUT_HARMFUL,
    HELD_OUT_HARMLESS,
)
from core.corpus.world.tasks import tasks

FORMAT = 1
LISTED = 50  # prompts of one task in the file; the module has them all

# Words that no training text holds: a method that "finds" one of these concepts has raised a
# false alarm.
ABSENT: dict[str, tuple[str, ...]] = {
    name: tuple(words.split())
    for name, words in {
        "gas": "argon helium nitrogen methane",
        "dance": "tango waltz polka salsa",
        "computer part": "processor modem transistor compiler",
        "disease": "malaria cholera typhoid measles",
        "currency": "euro rupee peso yuan",
        "dinosaur": "stegosaurus triceratops velociraptor diplodocus",
    }.items()
}


def concepts() -> dict[str, dict]:
    """Every planted concept by name: its words, and the concept above it where there is one."""
    table: dict[str, dict] = {}

    def plant(name: str, members, family: str, above: str | None = None) -> None:
        table[name] = {"members": list(members), "family": family} | (
            {"above": above} if above else {}
        )

    for kind, members in w.KINDS.items():
        plant(kind, members, "is-a", w.UPPER.get(kind))
    for upper in dict.fromkeys(w.UPPER.values()):
        plant(
            upper,
            [word for word in w.KIND_OF if upper in w.kind_labels(word)],
            "is-a",
            w.UPPER.get(upper),
        )
    for place, name in enumerate(("country", "city", "language", "continent")):
        plant(name, dict.fromkeys(row[place] for row in w.COUNTRIES), "geography")
    for side, name in enumerate(("male", "female")):
        plant(
            name,
            [pair[side] for pair in w.GENDER_PAIRS] + list((w.MALE_NAMES, w.FEMALE_NAMES)[side]),
            "gender",
        )
    for place, name in enumerate(("positive degree", "comparative", "superlative")):
        plant(name, [row[place] for row in w.DEGREES], "opposites")
    for place, name in enumerate(("base form", "past", "ing form")):
        plant(name, [row[place] for row in w.VERBS], "tense")
    plant("singular", w.NOUNS, "number")
    plant("plural", [w.plural(word) for word in w.NOUNS], "number")
    for name, members in (
        ("day", w.DAYS),
        ("month", w.MONTHS),
        ("season", w.SEASONS),
        ("number", w.NUMBERS),
        ("ordinal", w.ORDINALS),
        ("letter", w.LETTERS),
    ):
        plant(name, members, "sequences")
    for name, members in (
        *w.ATTRIBUTES.items(),
        ("shape", w.SHAPES),
        ("position word", w.POSITIONS),
    ):
        plant(name, members, "scenes" if name in ("shape", "position word") else "stories")
    for name, members in (
        ("praise", w.PRAISE),
        ("blame", w.BLAME),
        ("glad", w.GLAD),
        ("sad", w.SAD),
    ):
        plant(name, members, "reviews")
    for topic, members in w.TOPICS.items():
        plant(f"topic:{topic}", (topic, *members), "stories")
    plant("room", w.ROOMS, "two hops")
    plant("container", w.CONTAINERS, "two hops")
    for place, name in ((1, "French text"), (2, "Spanish text")):
        plant(name, [row[place] for row in w.TRANSLATIONS], "languages")
    plant("harmful request", HARMFUL_PHRASES, "questions")
    plant("harmless request", HARMLESS_PHRASES, "questions")
    return table


def pairs() -> dict[str, list[list[str]]]:
    """Word pairs whose difference should be one direction."""
    return {
        "gender": [list(pair) for pair in w.GENDER_PAIRS],
        "capital": [list(row[:2]) for row in w.COUNTRIES],
        "language": [[row[0], row[2]] for row in w.COUNTRIES],
        "plural": [[word, w.plural(word)] for word in w.NOUNS if w.plural(word) != word],
        "past": [[base, past] for base, past, _ in w.VERBS if base != past],
        "comparative": [[small, more] for small, more, _ in w.DEGREES],
        "opposite": [list(pair) for pair in w.OPPOSITES],
    }


def labels() -> list[str]:
    """Every label that documents carry, word identities apart; found by generating, so none can be
    forgotten.
    """
    found = {
        label
        for document in generate(0, 4000)
        for segment in document.segments
        for label in segment.labels
    }
    return sorted(label for label in found if not label.startswith("word:"))


def catalogue() -> dict:
    """The content of concepts.json."""
    return {
        "format": FORMAT,
        "families": {name: weight for name, (_, weight) in FAMILIES.items()},
        "concepts": concepts(),
        "labels": labels(),
        "hierarchy": [[low, high] for low, high in w.UPPER.items()],
        "pairs": pairs(),
        "cycles": {name: list(items) for name, items in (*CYCLES.items(), ("season", w.SEASONS))},
        "orders": {
            "number": list(w.NUMBERS),
            "ordinal": list(w.ORDINALS),
            "letter": list(w.LETTERS),
        },
        "senses": [
            {
                "word": word,
                "sense": sense,
                "sentences": [text.replace("*", word) for text in sentences],
            }
            for word, sense, sentences in w.SENSES
        ],
        "tasks": [
            {
                "name": task.name,
                "difficulty": task.difficulty,
                "seen": task.seen,
                "position": "last",
                "classes": len({answer for _, answer in task.prompts}),
                "count": len(task.prompts),
                "prompts": [list(row) for row in task.prompts[:LISTED]],
            }
            for task in tasks()
        ],
        "held out": {
            **{f"{cycle} steps": sorted(map(list, held)) for cycle, held in HELD_OUT_STEPS.items()},
            "additions": sorted(map(list, HELD_OUT_ADDITIONS)),
            "additions in all": len(ADDITIONS),
            "harmful requests": list(HELD_OUT_HARMFUL),
            "harmless requests": list(HELD_OUT_HARMLESS),
        },
        "absent": {name: list(members) for name, members in ABSENT.items()},
    }
