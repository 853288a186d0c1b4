"""The vectors that words of categories stand as, and those of other words beside them.

On the output side a word is the rows of its tokens in the unembedding, whitened; inside the model
it is its state at a layer, whitened by the states of random words in the same contexts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from core.analyses.clouds import FLAT
from core.analyses.item_states import ItemStates, item_states
from core.analyses.runs import Progress
from core.analyses.whitening import Whitening, unembedding
from core.models.loaded import Loaded
from core.models.tokens import pieces
from core.models.words import in_text, token_texts, whole_forms
from core.spec.concept_set import ConceptSet
from core.spec.errors import Error

PREPARED = ("whiten", "centre", "zscore")
FORMS = ("all", "word")
MOST_TOKENS = 200_000  # of the vocabulary that stand for any token
N_OTHERS = 500  # words that stand for any word where states are asked for
LEAST_LETTERS = 3
SHRINK = 0.1  # of a covariance of states towards a multiple of the identity
ROWS = 8_192
_NOT_ONE = "no single token of the model; the output side has one row per token"


@dataclass(frozen=True)
class Rows:
    """Vectors of the words of a set, and of words that stand for any word.

    words     those that were found, in the order of the set
    dropped   (word, why) of the others
    word      [row] number of the word a row belongs to
    cloud     [row, d] float64, prepared
    others    [other, d] float32 as they are in the model; `prepare` makes them comparable
    labels    [other] their texts
    """

    words: tuple[str, ...]
    dropped: tuple[tuple[str, str], ...]
    word: np.ndarray
    cloud: np.ndarray
    others: np.ndarray
    labels: tuple[str, ...]
    prepare: Whitening

    def drawn(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """[n, d] rows of any words, prepared: what the words would be if they meant nothing."""
        chosen = rng.choice(len(self.others), n, replace=n > len(self.others))
        return self.prepare.white(self.others[chosen])

    def spread(self, ells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation [vector] of the scores of any words along vectors
        [vector, d]."""
        length = (ells**2).sum(axis=1)
        aim = np.divide(ells, length[:, None], out=np.zeros_like(ells), where=length[:, None] > 0)
        total, square = np.zeros(len(ells)), np.zeros(len(ells))
        for start in range(0, len(self.others), ROWS):
            along = self.prepare.white(self.others[start : start + ROWS]) @ aim.T
            total += along.sum(axis=0)
            square += (along**2).sum(axis=0)
        mean = total / len(self.others)
        return mean, np.sqrt(np.maximum(square / len(self.others) - mean**2, 0))


def output_rows(loaded: Loaded, given: ConceptSet, forms: str, prepare: str, seed: int) -> Rows:
    """Rows of the unembedding, one for each token that is a word of the set.

    forms  "all": the word, its plural and both with a capital; "word": as it is written
    """
    found = unembedding(loaded)
    words: list[str] = []
    dropped: list[tuple[str, str]] = []
    word: list[int] = []
    ids: list[int] = []
    for text in given.items:
        own = whole_forms(loaded, text) if forms == "all" else in_text(loaded, text)
        if len(own) != 1 and forms == "word":
            own = ()
        own = tuple(token for token in own if found.used[token])
        if not own:
            dropped.append((text, _NOT_ONE))
            continue
        word += [len(words)] * len(own)
        words.append(text)
        ids += list(own)
    _enough(words, dropped)
    used = torch.where(found.used)[0].numpy()
    rng = np.random.default_rng((seed, 11))
    if len(used) > MOST_TOKENS:
        used = np.sort(rng.choice(used, MOST_TOKENS, replace=False))
    others = found.rows.numpy()[used]
    way = _way(others, prepare, found.white)
    cloud = way.white(found.rows[ids].numpy())
    labels = pieces(loaded, used.tolist())
    return Rows(tuple(words), tuple(dropped), np.array(word), cloud, others, labels, way)


@dataclass(frozen=True)
class Seen:
    """States of the words of a set, and behind them of words that stand for any word.

    own      how many of the words are the set's
    dropped  (word, why) of those of the set that could not be read
    """

    states: ItemStates
    own: int
    dropped: tuple[tuple[str, str], ...]

    def rows(self, layer: int, prepare: str) -> Rows:
        """The rows of one layer."""
        here = self.states.at(layer)
        way = _way(here, prepare)
        words = self.states.words
        return Rows(
            words[: self.own],
            self.dropped,
            np.arange(self.own),
            way.white(here[: self.own]),
            here.astype(np.float32),
            words,
            way,
        )


def word_states(
    loaded: Loaded,
    progress: Progress,
    given: ConceptSet,
    contexts: Sequence[str],
    read: str,
    seed: int,
) -> Seen:
    """States of the words of a set and of random words in the same contexts, at every layer."""
    others = other_words(loaded, given.items, seed)
    seen = item_states(
        loaded,
        progress,
        (*given.items, *others),
        contexts=contexts or given.contexts,
        read=read,
        share=(0.0, 0.4),
    )
    mine = set(given.items)
    own = sum(word in mine for word in seen.words)
    dropped = tuple(pair for pair in seen.dropped if pair[0] in mine)
    _enough(seen.words[:own], dropped)
    return Seen(seen, own, dropped)


def other_words(loaded: Loaded, own: Sequence[str], seed: int) -> tuple[str, ...]:
    """Whole words of the vocabulary that are not in a set, drawn with the seed."""
    _, texts = token_texts(loaded)
    mine = {word.lower() for word in own}
    blank = any(text.startswith(" ") for text in texts)
    plain = [
        text.strip()
        for text in texts
        if (text.startswith(" ") or not blank)
        and text.strip().isascii()
        and text.strip().isalpha()
        and len(text.strip()) >= LEAST_LETTERS
        and text.strip().lower() not in mine
    ]
    plain = list(dict.fromkeys(plain))
    rng = np.random.default_rng((seed, 12))
    if len(plain) <= N_OTHERS:
        return tuple(plain)
    return tuple(plain[place] for place in np.sort(rng.choice(len(plain), N_OTHERS, replace=False)))


def _enough(words: Sequence[str], dropped: Sequence[tuple[str, str]]) -> None:
    if len(words) < 2:
        why = f" ({dropped[0][0][:40]!r}: {dropped[0][1]})" if dropped else ""
        raise Error(
            f"{len(words)} of {len(words) + len(dropped)} words can be read; categories need at "
            f"least two{why}"
        )


def _way(rows: np.ndarray, prepare: str, white: Whitening | None = None) -> Whitening:
    """How rows are prepared: what is taken off and what they are multiplied by."""
    if prepare == "whiten" and white is not None:
        return white
    rows = np.asarray(rows, dtype=np.float64)
    mean = rows.mean(axis=0)
    d = len(mean)
    if prepare == "whiten":
        return _shrunk(rows - mean, mean)
    size = rows.std(axis=0) if prepare == "zscore" else np.ones(d)
    flat = size <= FLAT * size.max(initial=0.0)
    inverse = np.where(flat, 0.0, 1 / np.where(flat, 1.0, size))
    return Whitening(mean, np.diag(size), np.diag(inverse), size**2, int(flat.sum()), len(rows))


def _shrunk(centred: np.ndarray, mean: np.ndarray) -> Whitening:
    """Whitening by the covariance of states, a tenth of it spread evenly over all directions.

    By the smaller Gram matrix, so few words in a wide model cost few words.
    """
    n, d = centred.shape
    _, size, right = np.linalg.svd(centred, full_matrices=False)
    values = size**2 / n
    even = SHRINK * values.sum() / d
    if not even > 0:
        raise Error("the words have the same state at this layer; choose a later one")
    held = (1 - SHRINK) * values + even
    away = np.eye(d) - right.T @ right
    inverse = (right.T / np.sqrt(held)) @ right + away / np.sqrt(even)
    root = (right.T * np.sqrt(held)) @ right + away * np.sqrt(even)
    return Whitening(mean, root, inverse, values, 0, n)
