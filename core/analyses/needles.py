"""Prompts with something to find: a sentence in neutral text, or tokens among random ones."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass

from core.corpus.packs import FOLDER, beginning, haystack, plain_ids, words
from core.models.loaded import Loaded
from core.spec.errors import Error

SOURCES = ("text", "random")
TOKENS = 8  # of a random needle
OVERLAP = 0.9  # share of the answer's tokens that must stand in the needle as they are
_QUESTION = "\n\nQuestion: {question}\nAnswer:"


@dataclass(frozen=True)
class Needle:
    """Something to find. `answer` is a part of `text`, word for word."""

    text: str
    question: str
    answer: str


@dataclass(frozen=True)
class Prompt:
    """The answer is teacher-forced: `ids` end in front of its last token.

    The last `len(wanted)` queries foretell `wanted`, whose tokens stand at `places`, inside the
    part of the prompt that ends at `end` and where spans of chance may lie too.
    """

    ids: tuple[int, ...]
    wanted: tuple[int, ...]
    places: tuple[int, ...]
    end: int


def needles() -> list[Needle]:
    """The ten needles there are."""
    rows = json.loads((FOLDER / "needles.json").read_text(encoding="utf-8"))
    return [Needle(row["needle"], row["question"], row["answer"]) for row in rows]


def own_needle(text: str, question: str, answer: str) -> Needle:
    """A needle of the user's. Raises `Error` where the answer is no part of it."""
    given = (text, question, answer)
    if not all(isinstance(each, str) and each.strip() for each in given):
        raise Error("a needle of your own needs three texts: needle, question and answer")
    if answer.strip() not in text:
        raise Error(
            f"the answer {answer[:40]!r} does not stand in the needle {text[:60]!r} word for word"
        )
    return Needle(text.strip(), question.strip(), answer.strip())


class Hay:
    """Makes prompts of one source for one model."""

    def __init__(self, loaded: Loaded, source: str, own: Needle | None, seed: int) -> None:
        if source not in SOURCES:
            raise Error(f"needles are found in {' or '.join(SOURCES)}, not {source!r:.40}")
        if own is not None and source == "random":
            raise Error("a needle of your own lies in text; leave out source='random'")
        self.loaded, self.source = loaded, source
        self.needles = [own] if own else needles()
        self.front = beginning(loaded)
        self.random = random.Random(seed)
        self.sentences = haystack()
        self.sizes = [len(plain_ids(loaded, each)) for each in self.sentences]

    def least(self) -> int:
        """Tokens of the longest prompt without anything around the needle."""
        if self.source == "random":
            return len(self.front) + 2 * TOKENS - 1
        return max(len(self._ids(needle, "", "")[0]) for needle in self.needles)

    def prompt(self, number: int, length: int, depth: float) -> Prompt | None:
        """One prompt of at most `length` tokens; None where the answer's tokens are not found.

        depth 0 puts the needle in front of everything else, 1 behind it.
        """
        if self.source == "random":
            return self._random(length, depth)
        needle = self.needles[number % len(self.needles)]
        room = length - len(self._ids(needle, "", "")[0])
        n = self._fitting(room)
        while True:
            start = self.random.randrange(len(self.sentences) - n) if n < len(self.sentences) else 0
            chosen = self.sentences[start : start + n]
            cut = round(depth * n)
            ids, wanted, end = self._ids(needle, " ".join(chosen[:cut]), " ".join(chosen[cut:]))
            if len(ids) <= length or not n:
                return self._placed(ids, wanted, end)
            n -= 1

    def _fitting(self, room: int) -> int:
        mean = sum(self.sizes) / len(self.sizes)
        return max(0, min(len(self.sentences), int(room / mean)))

    def _ids(
        self, needle: Needle, before: str, after: str
    ) -> tuple[tuple[int, ...], tuple[int, ...], int]:
        """(ids in front of the last token of the answer, the answer's tokens, where hay ends)."""
        hay = " ".join(part for part in (before, needle.text, after) if part)
        asked = hay + _QUESTION.format(question=needle.question)
        prompt, whole = (plain_ids(self.loaded, asked + end) for end in ("", f" {needle.answer}"))
        same = next(
            (n for n, (a, b) in enumerate(zip(prompt, whole, strict=False)) if a != b), len(prompt)
        )
        end = len(self.front) + min(len(plain_ids(self.loaded, hay)), same)
        return (*self.front, *whole[:-1]), tuple(whole[same:]), end

    def _placed(self, ids: tuple[int, ...], wanted: tuple[int, ...], end: int) -> Prompt | None:
        start = _found(ids[:end], wanted)
        if start is None:
            return None
        return Prompt(ids, wanted, tuple(range(start, start + len(wanted))), end)

    def _random(self, length: int, depth: float) -> Prompt:
        """Random tokens, eight of them said again at the end: the first asks for the others."""
        ids, draw = words(self.loaded), self.random
        if len(ids) < 2 * TOKENS:
            raise Error(f"the vocabulary of {self.loaded.name} has too few words for random tokens")
        needle = draw.sample(ids, TOKENS)
        taken = set(needle)
        others = [token for token in ids if token not in taken]
        n = length - self.least()
        hay = [draw.choice(others) for _ in range(n)]
        cut = round(depth * n)
        text = (*self.front, *hay[:cut], *needle, *hay[cut:], *needle[:-1])
        start = len(self.front) + cut + 1
        places = tuple(range(start, start + TOKENS - 1))
        return Prompt(text, tuple(needle[1:]), places, len(text) - TOKENS + 1)

    def chance(self, prompt: Prompt, n: int) -> list[tuple[int, ...]]:
        """Up to n spans as long as the answer elsewhere in the hay, behind the first tokens."""
        size, first = len(prompt.places), len(self.front)
        own = range(prompt.places[0] - size + 1, prompt.places[-1] + 1)
        starts = [place for place in range(first, prompt.end - size + 1) if place not in own]
        chosen = self.random.sample(starts, min(n, len(starts)))
        return [tuple(range(start, start + size)) for start in chosen]


def _found(ids: Sequence[int], wanted: Sequence[int]) -> int | None:
    """Where the wanted tokens stand in a row, or nine in ten of them do; None where nowhere."""
    best, place = 0, None
    for start in range(len(ids) - len(wanted) + 1):
        equal = sum(a == b for a, b in zip(ids[start:], wanted, strict=False))
        if equal > best:
            best, place = equal, start
    return place if wanted and best >= OVERLAP * len(wanted) else None
