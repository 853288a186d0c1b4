"""Claims about neurons that can be tested on a model of the concept world without typing:
sets of words with near misses and sentences around them, questions on a subject, and texts by kind.
"""

from __future__ import annotations

from core.corpus.world import HELD_OUT_SEEDS, documents
from core.corpus.world.catalogue import concepts
from core.corpus.world.tasks import tasks

FORMAT = 1
MOST_WORDS = 16  # of one side of a set
QUESTIONS = 12
TEXTS = 12

NAMING = ("The word is {}", "Anna said {}", "I know the word {}", "It is about {}")
THINGS = ("Tom has a {}", "She saw the {}", "The {}", "A {}", "He found the {}")
TIMES = ("One {}", "Last {}", "It was {}", "The day is {}", "Count: {}")
PLACES = ("Anna lives in {}", "People in {}", "I went to {}", "The name is {}")
LOOKS = ("Tom is {}", "It was {}", "The room was {}", "Not {}", "She felt {}")

# Concept: other ways to say it, near misses, sentences before the word, prompts that go on.
SETS: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "day": (
        ("weekday", "day of the week"),
        ("month", "season", "ordinal"),
        TIMES,
        ("Count: {},", "In order: {},"),
    ),
    "month": (
        ("month of the year",),
        ("day", "season", "ordinal"),
        TIMES,
        ("Count: {},", "In order: {},"),
    ),
    "number": (
        ("number word",),
        ("ordinal", "letter", "day"),
        ("Count: {}", "There are {}", "The number {}", "I had {}"),
        ("Count: {},", "In order: {},"),
    ),
    "animal": (
        ("beast",),
        ("plant", "artefact", "food"),
        THINGS,
        ("A {} is a", "The opposite of {} is", "one {}, two"),
    ),
    "food": (("thing to eat",), ("animal", "plant", "artefact"), THINGS, ("A {} is a",)),
    "artefact": (
        ("thing made by people", "man-made thing"),
        ("animal", "plant", "food"),
        THINGS,
        ("A {} is a",),
    ),
    "country": (
        ("nation", "state"),
        ("city", "language", "continent"),
        PLACES,
        ("The capital of {} is", "People in {} speak"),
    ),
    "city": (
        ("capital", "town"),
        ("country", "language", "continent"),
        PLACES,
        ("{} is", "The capital of {} is"),
    ),
    "language": (
        ("tongue",),
        ("country", "city", "continent"),
        ("People speak {}", "She learned {}", "The word is {}"),
        ("People speak {}", "{} is"),
    ),
    "female": (
        ("woman", "female person", "women"),
        ("male",),
        ("The {}", "Yesterday {}", "I saw {}", "Then {}"),
        ("The {} said that", "Then {} said that"),
    ),
    "male": (
        ("man", "male person", "men"),
        ("female",),
        ("The {}", "Yesterday {}", "I saw {}", "Then {}"),
        ("The {} said that", "Then {} said that"),
    ),
    "praise": (
        ("good quality", "positive word"),
        ("blame", "size", "temperature"),
        ("The food was {}", "It was {}", "The music was {}", "The staff was {}"),
        ("The food was {}. Overall, it was", "The music was {}. In short, it was"),
    ),
    "blame": (
        ("bad quality", "negative word"),
        ("praise", "size", "temperature"),
        ("The food was {}", "It was {}", "The music was {}", "The staff was {}"),
        ("The food was {}. Overall, it was", "The music was {}. In short, it was"),
    ),
    "colour": (
        ("color",),
        ("size", "material", "temperature"),
        LOOKS,
        ("The opposite of {} is", "Tom has a {}"),
    ),
    "past": (
        ("past tense", "past form"),
        ("base form", "ing form"),
        ("Tom {}", "She {}", "Yesterday he {}", "Then they {}"),
        ("Tom {}", "Today I {}, yesterday I"),
    ),
    "plural": (
        ("more than one thing",),
        ("singular",),
        ("The {}", "I saw the {}", "many {}", "His {}"),
        ("The {}", "There the {}"),
    ),
}

# Subject: the task whose prompts ask about it, and the tasks beside it.
SUBJECTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "city": ("capital", ("opposite", "past tense", "plural")),
    "country": ("capital", ("opposite", "past tense", "plural")),
    "language": ("language", ("opposite", "past tense", "plural")),
    "day": ("next day", ("next month", "capital", "opposite")),
    "month": ("next month", ("next day", "capital", "opposite")),
    "number": ("addition", ("capital", "opposite", "past tense")),
    "past": ("past tense", ("capital", "opposite", "plural")),
    "plural": ("plural", ("capital", "opposite", "past tense")),
    "female": ("gender analogy", ("capital", "opposite", "plural")),
}

# Kind of text: the families its documents are drawn from.
KINDS: dict[str, str] = {
    "calendar": "calendar",
    "geography": "geography",
    "arithmetic": "arithmetic",
    "animals and things": "is-a",
    "stories": "stories",
    "reviews": "reviews",
    "French and Spanish": "languages",
    "code": "code",
}


def claims() -> dict:
    """The content of assets/claims/world.json."""
    known = {name: entry["members"] for name, entry in concepts().items()}
    return {
        "format": FORMAT,
        "sets": [_set(name, known) for name in SETS],
        "subjects": [_subject(name, known) for name in SUBJECTS],
        "texts": [{"name": name, "texts": _texts(family)} for name, family in KINDS.items()],
    }


def _set(name: str, known: dict[str, list[str]]) -> dict:
    says, near, carriers, frames = SETS[name]
    members = _spread(known[name], MOST_WORDS)
    each = -(-MOST_WORDS // len(near))
    others = [word for other in near for word in _spread(known[other], each)]
    own = set(known[name])
    return {
        "name": name,
        "says": list(says),
        "members": members,
        "others": [word for word in dict.fromkeys(others) if word not in own],
        "carriers": list(carriers),
        "frames": list(frames),
    }


def _spread(words: list[str], most: int) -> list[str]:
    """At most so many of the words, from all over the list: the tables are sorted by kind."""
    n = min(most, len(words))
    return [words[place * len(words) // n] for place in range(n)]


def _subject(name: str, known: dict[str, list[str]]) -> dict:
    by_name = {task.name: [prompt for prompt, _ in task.prompts] for task in tasks()}
    own, beside = SUBJECTS[name]
    each = QUESTIONS // len(beside)
    return {
        "name": name,
        "words": _spread(known[name], MOST_WORDS),
        "questions": by_name[own][:QUESTIONS],
        "controls": [prompt for other in beside for prompt in by_name[other][:each]],
    }


def _texts(family: str) -> list[str]:
    """Documents of one family alone that no training text holds."""
    found: list[str] = []
    for document in documents(HELD_OUT_SEEDS + 7):
        text = document.text.strip()
        if document.families == [family] and len(text) > 40 and text not in found:
            found.append(text)
        if len(found) == TEXTS:
            break
    return found
