"""Pairs of words of one topic and of two, and what heads give them beyond their distance."""

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.corpus.chunks import Contexts
from core.corpus.spans import target_tokens, word_spans

LEAST_IN_BIN = 30  # pairs at a distance; fewer are taken together with the next one
MOST_PAIRS = 60_000


@dataclass(frozen=True)
class Pairs:
    """Places of two different words of the topics in one window.

    window, query, key  [pair] number of the window, positions of its tokens
    one, other          [pair] words at the query and at the key, numbers into the list of words
    bin                 [pair] which distance, in tokens, signed for models that look ahead
    """

    window: np.ndarray
    query: np.ndarray
    key: np.ndarray
    one: np.ndarray
    other: np.ndarray
    bin: np.ndarray

    def __len__(self) -> int:
        return len(self.window)


def found_words(made: Contexts, words: Sequence[str]) -> list[list[tuple[int, int]]]:
    """For every window the (position, word number) of the words in it, the last token of each."""
    place = {word.lower(): number for number, word in enumerate(words)}
    texts = [document.text for document in made.documents]
    spans = word_spans(words, texts)
    marked = target_tokens(made, spans)
    found = []
    for window, marks in zip(made.windows, marked, strict=True):
        text, own = texts[window.document], spans[window.document]
        starts = [start for start, _ in own]
        here = []
        for position in (at for at, mark in enumerate(marks) if mark):
            end = window.spans[position][1]
            span = own[bisect_right(starts, end - 1) - 1]
            word = re.sub(r"\s+", " ", text[span[0] : span[1]]).lower()
            if word in place:
                here.append((position, place[word]))
        found.append(here)
    return found


def pairs(
    where: Sequence[Sequence[tuple[int, int]]], *, ahead: bool, rng: np.random.Generator
) -> Pairs:
    """All pairs of different words in one window, at most `MOST_PAIRS` of them, drawn.

    ahead  whether tokens also look at later ones (encoders)
    """
    rows = [
        (window, query, key, one, other)
        for window, here in enumerate(where)
        for query, one in here
        for key, other in here
        if one != other and (key < query or (ahead and key != query))
    ]
    table = np.array(rows, dtype=np.int64).reshape(-1, 5)
    if len(table) > MOST_PAIRS:
        table = table[np.sort(rng.choice(len(table), MOST_PAIRS, replace=False))]
    window, query, key, one, other = table.T
    return Pairs(window, query, key, one, other, bins(query - key))


def some(found: Pairs, keep: np.ndarray) -> Pairs:
    """Those of the pairs whose numbers are given, their distances put together anew."""
    window, query, key = found.window[keep], found.query[keep], found.key[keep]
    return Pairs(window, query, key, found.one[keep], found.other[keep], bins(query - key))


def bins(distance: np.ndarray) -> np.ndarray:
    """Distances as numbers; neighbours are taken together until a bin holds enough pairs."""
    values, own, count = np.unique(distance, return_inverse=True, return_counts=True)
    number = np.zeros(len(values), dtype=np.int64)
    held, at = 0, 0
    for place, n in enumerate(count):
        if held >= LEAST_IN_BIN and (count[place:].sum() >= LEAST_IN_BIN):
            at, held = at + 1, 0
        number[place] = at
        held += n
    found: np.ndarray = number[own]
    return found


def beyond_distance(weight: np.ndarray, bin_: np.ndarray) -> np.ndarray:
    """Weights [head, pair] over the mean weight of the head at that distance; 0 where that is 0."""
    n = int(bin_.max()) + 1
    member = np.zeros((len(bin_), n))
    member[np.arange(len(bin_)), bin_] = 1 / np.bincount(bin_, minlength=n)[bin_]
    mean = weight @ member  # [head, bin]
    expected = mean[:, bin_]
    found: np.ndarray = np.divide(
        weight, expected, out=np.zeros_like(weight), where=expected > 1e-12
    )
    return found


def gaps(ratio: np.ndarray, same: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(same [..., head], different [..., head]) mean of [head, pair] over pairs of one topic and of
    two, for same [pair] or for many labellings [labelling, pair]."""
    table = np.atleast_2d(same).astype(ratio.dtype)
    inside, across = table.sum(axis=1), (1 - table).sum(axis=1)
    one = table @ ratio.T / np.maximum(inside, 1)[:, None]
    other = (1 - table) @ ratio.T / np.maximum(across, 1)[:, None]
    one[inside == 0], other[across == 0] = np.nan, np.nan
    return (one[0], other[0]) if same.ndim == 1 else (one, other)


def lists(
    topics: Mapping[str, Sequence[str]],
    n_texts: int,
    rng: np.random.Generator,
    *,
    n_topics: int = 4,
    n_words: int = 4,
) -> tuple[str, ...]:
    """Lists of words of a few topics in random order, so that no distance belongs to a topic."""
    names = [name for name, words in topics.items() if len(words) >= 2]
    texts = []
    for _ in range(n_texts):
        chosen = rng.permutation(names)[: min(n_topics, len(names))]
        words = [
            str(word) for name in chosen for word in rng.permutation(topics[str(name)])[:n_words]
        ]
        texts.append(", ".join(str(word) for word in rng.permutation(words)))
    return tuple(texts)


def cosine_gaps(cosine: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Mean of cosines [word, word] over pairs of one topic and of two, self pairs left out."""
    alike = labels[:, None] == labels
    np.fill_diagonal(alike, False)
    apart = labels[:, None] != labels
    inside, across = alike.sum(), apart.sum()
    one = float((cosine * alike).sum() / inside) if inside else float("nan")
    other = float((cosine * apart).sum() / across) if across else float("nan")
    return one, other
