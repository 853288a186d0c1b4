"""Claims about neurons that ship with the program: word sets, questions and texts by kind.

They fit the embedded models, whose world they are made from, and most of their words are known to
any model of English.
"""

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from core.home import ASSETS

FILE = ASSETS / "claims" / "world.json"


@dataclass(frozen=True, slots=True)
class WordSet:
    """Strings of a concept, near misses, sentences that end in the string, prompts that go on.

    `carriers` and `frames` hold `{}` where the string goes; `says` are other names of the concept.
    """

    name: str
    says: tuple[str, ...]
    members: tuple[str, ...]
    others: tuple[str, ...]
    carriers: tuple[str, ...]
    frames: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Subject:
    """Words of a subject, questions about it, and control questions about something else."""

    name: str
    words: tuple[str, ...]
    questions: tuple[str, ...]
    controls: tuple[str, ...]


@lru_cache(maxsize=1)
def _read() -> Any:
    return json.loads(FILE.read_text(encoding="utf-8"))


def word_sets() -> tuple[WordSet, ...]:
    """Every built-in word set."""
    return tuple(WordSet(**_frozen(plain)) for plain in _read()["sets"])


def subjects() -> tuple[Subject, ...]:
    """Every built-in subject with its questions."""
    return tuple(Subject(**_frozen(plain)) for plain in _read()["subjects"])


def kinds_of_text() -> dict[str, tuple[str, ...]]:
    """Kind of text: examples of it."""
    return {plain["name"]: tuple(plain["texts"]) for plain in _read()["texts"]}


def word_set(explanation: str) -> WordSet | None:
    """The built-in set an explanation names ("weekdays", "the days of the week"), else None."""
    wanted = _simple(explanation)
    for known in word_sets():
        if wanted and wanted in {_simple(name) for name in (known.name, *known.says)}:
            return known
    return None


def subject(name: str) -> Subject | None:
    """The built-in subject of this name, else None."""
    known = word_set(name)
    wanted = known.name if known else _simple(name)
    return next((each for each in subjects() if each.name == wanted), None)


def _simple(text: str) -> str:
    """Lower case, without article and plural: "The Countries" is "country"."""
    words = re.findall(r"[\w-]+", text.casefold())
    words = words[1:] if words[:1] in (["the"], ["a"], ["an"]) else words
    return " ".join(_singular(word) for word in words)


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _frozen(plain: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in plain.items()}
