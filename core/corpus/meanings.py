"""The same texts under other meanings of their words: labels that are as hard to work out.

Words of one sort change their meanings among each other, so that what a text is labelled follows
by the same rule from words as frequent, and only a model that knows the real meaning can have
prepared the one answer and not the others. After Jin and Rinard 2023, "Evidence of Meaning in
Language Models Trained on Programs", who exchange the meanings of a program's words.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from core.corpus.world.held_out import CYCLES, steps
from core.corpus.world.labelled import templated
from core.corpus.world.words import (
    ASPECTS,
    BLAME,
    NAMES,
    NUMBERS,
    PRAISE,
    REVIEWED,
    capital,
)
from core.spec.errors import Error
from core.spec.meanings import MEANINGS

MOST_TRIES = 400
NEAR = 0.1  # how far the share of texts labelled alike may lie from a half


@dataclass(frozen=True)
class Meanings:
    """texts, label [text] under the real meaning, others [text, meaning] under exchanged ones."""

    name: str
    about: str
    texts: tuple[str, ...]
    classes: tuple[str, str]
    label: np.ndarray
    others: np.ndarray


Labels = Callable[[np.random.Generator], np.ndarray]


def named(name: str, n: int, seed: int) -> Meanings:
    """The texts of this name under n other meanings. Raises `Error` naming those there are."""
    if name not in MEANINGS:
        raise Error(f"no texts with other meanings {name[:40]!r}; there are {', '.join(MEANINGS)}")
    texts, classes, label, exchanged = _MADE[name]()
    rng = np.random.default_rng((seed, 11))
    others = _drawn(label, exchanged, rng, n)
    return Meanings(name, MEANINGS[name], tuple(texts), classes, label, others)


def _drawn(label: np.ndarray, exchanged: Labels, rng: np.random.Generator, n: int) -> np.ndarray:
    """Other labels [text, meaning] that agree with the real ones in about half of the texts, for
    else a probe of the one would read the other too."""
    kept: list[np.ndarray] = []
    for near in (NEAR, 2 * NEAR, 0.5):
        for _ in range(MOST_TRIES):
            if len(kept) == n:
                break
            one = exchanged(rng)
            if abs((one == label).mean() - 0.5) <= near and 0.25 <= one.mean() <= 0.75:
                kept.append(one)
    if len(kept) < n:
        raise Error(f"only {len(kept)} other meanings could be drawn; ask for fewer")
    return np.stack(kept, axis=1)


Made = tuple[Sequence[str], tuple[str, str], np.ndarray, Labels]


def _sums() -> Made:
    pairs = np.array([(a, b) for a in range(11) for b in range(11)])
    texts = [f"{capital(NUMBERS[a])} plus {NUMBERS[b]} is" for a, b in pairs]

    def exchanged(rng: np.random.Generator) -> np.ndarray:
        value = rng.permutation(11)
        return (value[pairs].sum(axis=1) > 10).astype(np.int64)

    label = (pairs.sum(axis=1) > 10).astype(np.int64)
    return texts, ("up to ten", "above ten"), label, exchanged


def _months() -> Made:
    names = CYCLES["month"]
    rows = np.array(steps("month"))  # start, step, way
    texts = [
        f"{capital(NUMBERS[step])} months {'after' if way > 0 else 'before'} {names[start]} is"
        for start, step, way in rows
    ]

    def halves(start: np.ndarray, way: np.ndarray) -> np.ndarray:
        return ((start + way * rows[:, 1]) % 12 >= 6).astype(np.int64)

    def exchanged(rng: np.random.Generator) -> np.ndarray:
        turned = 1 - 2 * int(rng.random() < 0.5)
        return halves(rng.permutation(12)[rows[:, 0]], turned * rows[:, 2])

    label = halves(rows[:, 0], rows[:, 2])
    return texts, ("January to June", "July to December"), label, exchanged


def _reviews() -> Made:
    rows = list(_review_rows())
    texts = [text for text, *_ in rows]
    word = np.array([number for _, number, _, _ in rows])
    good, turned = (np.array([row[place] for row in rows]) for place in (2, 3))

    def exchanged(rng: np.random.Generator) -> np.ndarray:
        # Half of the adjectives of either side stand on the other.
        side = np.zeros(len(PRAISE) + len(BLAME), dtype=np.int64)
        for first, many in ((0, len(PRAISE)), (len(PRAISE), len(BLAME))):
            n = many // 2 + int(rng.random() < 0.5) * (many % 2)
            side[first + rng.permutation(many)[:n]] = 1
        return good ^ turned ^ side[word]

    return texts, ("bad", "good"), good ^ turned, exchanged


def _review_rows() -> Iterator[tuple[str, int, int, int]]:
    """Text, number of its adjective, whether that is one of praise, whether it is negated."""
    rng = np.random.default_rng(17)
    for number, word in enumerate((*PRAISE, *BLAME)):
        for aspect in rng.permutation(len(ASPECTS))[:6]:
            thing = REVIEWED[int(rng.integers(len(REVIEWED)))]
            for turned in (0, 1):
                said = f"The {ASPECTS[aspect]} was {'not ' if turned else ''}{word}."
                text = f"Review of the {thing}. {said} Overall, it was"
                yield text, number, int(number < len(PRAISE)), turned


def _coins() -> Made:
    one = next(each for each in templated() if each.name == "coin flips")
    label = np.array(one.labels)
    told = np.array([[f" {name} " in f" {text} " for name in NAMES] for text in one.texts])

    def exchanged(rng: np.random.Generator) -> np.ndarray:
        other = np.zeros(len(NAMES), dtype=np.int64)
        other[rng.permutation(len(NAMES))[: len(NAMES) // 2]] = 1
        return (label + told @ other) % 2

    return one.texts, ("no", "yes"), label, exchanged


_MADE: dict[str, Callable[[], Made]] = {
    "sums": _sums,
    "months": _months,
    "reviews": _reviews,
    "coin flips": _coins,
}
