"""Texts as they are met in the wild: letters in front, typing errors, other sentences before."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from core.spec.labelled import LabelledSet

TYPOS = 0.02  # share of the letters that change places with the next
BEFORE = "Here is something that was written down."
N_WORDS = 3

Change = Callable[[LabelledSet, np.random.Generator], tuple[str, ...]]


def letters(one: LabelledSet, rng: np.random.Generator) -> tuple[str, ...]:
    """Three letters directly in front, by the toss of a coin, as in "Exploring Concept Depth"."""
    return tuple(
        ("aaa" if head else "bbb") + text
        for head, text in zip(rng.integers(0, 2, len(one.texts)), one.texts, strict=True)
    )


def typos(one: LabelledSet, rng: np.random.Generator) -> tuple[str, ...]:
    """Two of a hundred letters change places with the next, one at least; never in its word."""
    words = one.words or ("",) * len(one.texts)
    return tuple(_typed(text, word, rng) for text, word in zip(one.texts, words, strict=True))


def _typed(text: str, word: str, rng: np.random.Generator) -> str:
    kept = {
        at
        for found in (re.finditer(re.escape(word), text, re.IGNORECASE) if word else ())
        for at in range(*found.span())
    }
    free = [
        at
        for at in range(len(text) - 1)
        if text[at].isalpha() and text[at + 1].isalpha() and text[at] != text[at + 1]
        and not kept & {at, at + 1}
    ]  # fmt: skip
    if not free:
        return text
    n = max(1, round(TYPOS * len(text)))
    found = list(text)
    for at in sorted(rng.choice(free, size=min(n, len(free)), replace=False)):
        found[at], found[at + 1] = found[at + 1], found[at]
    return "".join(found)


def sentence(one: LabelledSet, rng: np.random.Generator) -> tuple[str, ...]:
    """A neutral sentence before."""
    del rng
    return tuple(f"{BEFORE} {text}" for text in one.texts)


def words(one: LabelledSet, rng: np.random.Generator) -> tuple[str, ...]:
    """Three words of any of the texts before."""
    pool: Sequence[str] = sorted({word for text in one.texts for word in text.split()})
    drawn = rng.choice(np.array(pool, dtype=object), size=(len(one.texts), N_WORDS))
    return tuple(f"{' '.join(some)} {text}" for some, text in zip(drawn, one.texts, strict=True))


CHANGES: dict[str, Change] = {
    "letters": letters,
    "typos": typos,
    "sentence": sentence,
    "words": words,
}


def perturbed(one: LabelledSet, name: str, seed: int) -> LabelledSet:
    """The set with its texts changed; labels, groups and words stay."""
    rng = np.random.default_rng((seed, 31, list(CHANGES).index(name)))
    return replace(one, texts=CHANGES[name](one, rng))
