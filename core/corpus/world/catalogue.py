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


# One column of a table of words is one concept: family, table, names of its columns or nothing.
COLUMNS: tuple[tuple[str, tuple[tuple[str, ...], ...], tuple[str, ...]], ...] = (
    ("geography", w.COUNTRIES, ("country", "city", "language", "continent")),
    ("opposites", w.DEGREES, ("positive degree", "comparative", "superlative")),
    ("tense", w.VERBS, ("base form", "past", "ing form")),
    ("languages", w.TRANSLATIONS, ("", "French text", "Spanish text")),
)
LISTS: dict[str, dict[str, tuple[str, ...]]] = {
    "gender": {
        "male": tuple(pair[0] for pair in w.GENDER_PAIRS) + w.MALE_NAMES,
        "female": tuple(pair[1] for pair in w.GENDER_PAIRS) + w.FEMALE_NAMES,
    },
    "number": {"singular": w.NOUNS, "plural": tuple(w.plural(word) for word in w.NOUNS)},
    "sequences": {
        "day": w.DAYS,
        "month": w.MONTHS,
        "season": w.SEASONS,
        "number": w.NUMBERS,
        "ordinal": w.ORDINALS,
        "letter": w.LETTERS,
    },
    "scenes": {"shape": w.SHAPES, "position word": w.POSITIONS},
    "reviews": {"praise": w.PRAISE, "blame": w.BLAME, "glad": w.GLAD, "sad": w.SAD},
    "stories": w.ATTRIBUTES
    | {f"topic:{topic}": (topic, *members) for topic, members in w.TOPICS.items()},
    "two hops": {"room": w.ROOMS, "container": w.CONTAINERS},
    "questions": {
        "harmful request": HARMFUL_PHRASES,
        "harmless request": tuple(HARMLESS_PHRASES),
    },
}


def concepts() -> dict[str, dict]:
    """Every planted concept by name: its words, and the concept above it where there is one."""
    table: dict[str, dict] = {}
    for name in (*w.KINDS, *dict.fromkeys(w.UPPER.values())):
        members = [word for word in w.KIND_OF if name in w.kind_labels(word)]
        above = {"above": w.UPPER[name]} if name in w.UPPER else {}
        table[name] = {"members": members, "family": "is-a"} | above
    for family, rows, names in COLUMNS:
        for place, name in enumerate(names):
            if name:
                members = list(dict.fromkeys(row[place] for row in rows))
                table[name] = {"members": members, "family": family}
    for family, lists in LISTS.items():
        for name, words in lists.items():
            table[name] = {"members": list(words), "family": family}
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
