"""Do two dictionaries find the same features? Nearest rows, one-to-one matches, chance beside.

A feature that a second run finds again is the cheapest guard against reading too much into it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import sparse
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from core.analyses.dictionary_controls import rows_alike
from core.analyses.feature_gallery import N_CONTEXTS, opened
from core.analyses.feature_rows import opened_dictionary
from core.analyses.neuron_match import n_unlike
from core.analyses.runs import Progress
from core.corpus.chunks import WINDOW
from core.corpus.readers import Corpus
from core.dictionaries.sparse import SparseDict
from core.galleries.reading import FeatureGallery
from core.models.loaded import Loaded
from core.results.dictionary_compare import SAME, DictionaryCompare
from core.spec.errors import Error

WAYS = ("decoder", "encoder", "firing")
MOST_HUNGARIAN = 4_096
LEAST_FIRES = 15
_ROWS = 1_024  # rows of likeness held at once

Rows = Callable[[int, int], np.ndarray]  # likeness of first:last to all of the other


def dictionary_compare(
    loaded: Loaded,
    progress: Progress,
    *,
    dictionary: str,
    with_dictionary: str,
    other: Loaded | None = None,
    by: str = "",
    corpus: Corpus = "built-in",
    field: str = "text",
    window: int = WINDOW,
    n_contexts: int = N_CONTEXTS,
    seed: int = 0,
) -> DictionaryCompare:
    """The nearest feature of another dictionary for every feature, and a match one to one.

    with_dictionary  its name, of this model or of `other`
    by               "decoder" or "encoder" rows (cosine), "firing" (correlation of activations
                     on a text); by itself decoder rows at one site of one model, else firing
    """
    there = loaded if other is None else other
    books = (opened_dictionary(loaded, dictionary), opened_dictionary(there, with_dictionary))
    if books[0] is books[1]:
        raise Error(f"{dictionary} is compared with itself; name another dictionary")
    by = by or _way(loaded, there, books)
    if by not in WAYS:
        raise Error(f"dictionaries are compared by {', '.join(WAYS)}, not {by[:20]!r}")
    if by == "firing":
        place: dict[str, Any] = {
            "corpus": corpus, "field": field, "window": window, "n_contexts": n_contexts
        }  # fmt: skip
        pair = _by_firing(loaded, there, books, progress, place, seed)
    else:
        with loaded.busy():
            pair = _by_rows(books, by, seed)
    return _result(loaded, there, books, by, pair, progress)


def _way(loaded: Loaded, there: Loaded, books: tuple[SparseDict, SparseDict]) -> str:
    one, two = books
    return "decoder" if loaded is there and one.out_site == two.out_site else "firing"


@dataclass(frozen=True)
class _Pair:
    """What is compared: numbers of the features, their likeness and the control's, by rows."""

    numbers: tuple[np.ndarray, np.ndarray]
    likeness: Rows
    chance: Rows
    corpus: str = ""
    n_tokens: int = 0


def _by_rows(books: tuple[SparseDict, SparseDict], by: str, seed: int) -> _Pair:
    parts = [book.W_dec if by == "decoder" else book.W_enc.T for book in books]
    one, two = (part.detach().float().cpu() for part in parts)
    if one.shape[1] != two.shape[1]:
        raise Error(
            f"the {by} rows have {one.shape[1]:,} and {two.shape[1]:,} numbers; compare by firing"
        )
    generator = torch.Generator().manual_seed(seed)
    random = rows_alike(one, len(one), generator)
    unit = _unit(two)
    return _Pair(
        (np.arange(len(one)), np.arange(len(two))),
        _cosines(_unit(one), unit),
        _cosines(_unit(random), unit),
    )


def _unit(rows: Tensor) -> Tensor:
    return rows / rows.norm(dim=1, keepdim=True).clamp_min(1e-12)


def _cosines(one: Tensor, two: Tensor) -> Rows:
    def rows(first: int, last: int) -> np.ndarray:
        found: np.ndarray = (one[first:last] @ two.T).numpy()
        return found

    return rows


def _by_firing(
    loaded: Loaded,
    there: Loaded,
    books: tuple[SparseDict, SparseDict],
    progress: Progress,
    place: dict[str, Any],
    seed: int,
) -> _Pair:
    if loaded is not there and n_unlike(loaded, there):
        raise Error(
            f"{loaded.name} and {there.name} divide a text into different tokens, so their "
            "features cannot be correlated token by token"
        )
    galleries = [
        opened(model, progress, dictionary=book.name, **place)
        for model, book in zip((loaded, there), books, strict=True)
    ]
    if galleries[0].manifest.corpus_fingerprint != galleries[1].manifest.corpus_fingerprint:
        raise Error("the two models read the text in different windows; choose a shorter window=")
    kept = [np.flatnonzero(each.count >= LEAST_FIRES) for each in galleries]
    for book, numbers in zip(books, kept, strict=True):
        if not len(numbers):
            raise Error(f"no feature of {book.name} fires {LEAST_FIRES} times; take a longer text")
    counted = np.flatnonzero(galleries[0].text.keep)
    one, two = (_table(g, k, counted) for g, k in zip(galleries, kept, strict=True))
    shift = int(np.random.default_rng(seed).integers(len(counted) // 4, 3 * len(counted) // 4 + 1))
    moved = one[(np.arange(len(counted)) + shift) % len(counted)]
    return _Pair(
        (kept[0], kept[1]),
        _correlations(one, two),
        _correlations(sparse.csr_matrix(moved), two),
        galleries[0].manifest.corpus,
        len(counted),
    )


def _table(gallery: FeatureGallery, kept: np.ndarray, counted: np.ndarray) -> sparse.csr_matrix:
    """Activations [counted token, kept feature]."""
    place = np.full(gallery.text.n_tokens, -1)
    place[counted] = np.arange(len(counted))
    column = np.full(gallery.n_features, -1)
    column[kept] = np.arange(len(kept))
    rows, columns, values = [], [], []
    for part, token, value in gallery.need_codes().columns():
        start = gallery.need_codes().columns_start[part.start : part.stop + 1]
        feature = column[np.repeat(np.array(part), np.diff(start))]
        live = feature >= 0
        rows.append(place[token[live]])
        columns.append(feature[live])
        values.append(value[live].astype(float))
    where = (np.concatenate(rows), np.concatenate(columns))
    return sparse.csr_matrix((np.concatenate(values), where), shape=(len(counted), len(kept)))


def _correlations(one: sparse.csr_matrix, two: sparse.csr_matrix) -> Rows:
    """Pearson over tokens, zeros counted."""
    n = one.shape[0]
    sums = [np.asarray(each.sum(axis=0)).reshape(-1) for each in (one, two)]
    spread = [
        np.sqrt(np.maximum(n * np.asarray(each.multiply(each).sum(axis=0)).reshape(-1) - s * s, 0))
        for each, s in zip((one, two), sums, strict=True)
    ]
    by_feature = sparse.csr_matrix(one.T)

    def rows(first: int, last: int) -> np.ndarray:
        both = (by_feature[first:last] @ two).toarray()
        top = n * both - np.outer(sums[0][first:last], sums[1])
        found: np.ndarray = top / np.maximum(np.outer(spread[0][first:last], spread[1]), 1e-30)
        return found

    return rows


def _parts(n: int) -> Iterator[tuple[int, int]]:
    for first in range(0, n, _ROWS):
        yield first, min(n, first + _ROWS)


@dataclass
class _Found:
    """What one pass over the likenesses gives; `whole` where one to one can be worked out."""

    nearest: np.ndarray
    likeness: np.ndarray
    chance: np.ndarray
    reverse: np.ndarray
    back: np.ndarray
    whole: np.ndarray | None

    @property
    def mutual(self) -> np.ndarray:
        """Each is the other's nearest, [compared] bool."""
        found: np.ndarray = self.back[self.nearest] == np.arange(len(self.nearest))
        return found


def _pass(pair: _Pair, progress: Progress) -> _Found:
    n, m = (len(numbers) for numbers in pair.numbers)
    small = max(n, m) <= MOST_HUNGARIAN
    found = _Found(
        np.zeros(n, np.int64),
        np.zeros(n),
        np.zeros(n),
        np.full(m, -2.0),
        np.zeros(m, np.int64),
        np.empty((n, m), np.float32) if small else None,
    )
    for first, last in _parts(n):
        progress.step(first / n, f"feature {first:,} of {n:,}")
        table = pair.likeness(first, last)
        found.nearest[first:last] = table.argmax(axis=1)
        found.likeness[first:last] = table.max(axis=1)
        best = table.argmax(axis=0)
        value = table[best, np.arange(m)]
        more = value > found.reverse
        found.reverse[more], found.back[more] = value[more], first + best[more]
        found.chance[first:last] = pair.chance(first, last).max(axis=1)
        if found.whole is not None:
            found.whole[first:last] = table
    return found


def _partners(found: _Found, progress: Progress) -> tuple[np.ndarray, np.ndarray]:
    """(partner [compared], -1 for none; likeness, NaN for none), one to one."""
    n = len(found.nearest)
    if found.whole is None:
        mutual = found.mutual
        return np.where(mutual, found.nearest, -1), np.where(mutual, found.likeness, np.nan)
    progress.step(0.9, "matching one to one")
    partner, alike = np.full(n, -1), np.full(n, np.nan)
    row, column = linear_sum_assignment(-found.whole)
    partner[row], alike[row] = column, found.whole[row, column]
    return partner, alike


def _result(
    loaded: Loaded,
    there: Loaded,
    books: tuple[SparseDict, SparseDict],
    by: str,
    pair: _Pair,
    progress: Progress,
) -> DictionaryCompare:
    found = _pass(pair, progress)
    partner, alike = _partners(found, progress)
    known = partner >= 0
    least = min(len(numbers) for numbers in pair.numbers)
    return DictionaryCompare(
        request={},
        dictionaries=(books[0].name, books[1].name),
        models=(loaded.name, there.name),
        sites=(str(books[0].out_site), str(books[1].out_site)),
        by=by,
        matching="mutual" if found.whole is None else "hungarian",
        corpus=pair.corpus,
        n_tokens=pair.n_tokens,
        mean=float(alike[known].mean()) if known.any() else float("nan"),
        share=float((alike[known] > SAME).sum() / least),
        nearest_share=float((found.likeness > SAME).mean()),
        chance_mean=float(found.chance.mean()),
        chance_share=float((found.chance > SAME).mean()),
        feature=pair.numbers[0],
        nearest=pair.numbers[1][found.nearest],
        likeness=found.likeness,
        partner=np.where(known, pair.numbers[1][np.maximum(partner, 0)], -1),
        partner_likeness=alike,
        mutual=found.mutual,
        chance=found.chance,
        reverse=found.reverse,
    )
