"""Features of known and unknown names, after "Do I Know This Entity? Knowledge Awareness and
Hallucinations in Language Models" (Ferrando et al. 2024).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch

from core.analyses.dictionary_report import chosen
from core.analyses.feature_codes import counted, seen, text_batches
from core.analyses.runs import Progress
from core.analyses.strings import placed, strings_of
from core.corpus.reference import reference_chunks
from core.dictionaries.sparse import SparseDict
from core.home import ASSETS
from core.models.loaded import Loaded
from core.results.entity_features import DIRECTIONS, EntityFeatures
from core.spec.errors import Error

FILE = ASSETS / "concepts" / "entities.json"
SENTENCES = {"city": "The city of {}", "person": "A person called {}", "film": "The film {}",
             "song": "The song {}"}  # fmt: skip
PLAIN = "This is {}"
MOST_DENSITY = 0.02
N_SHUFFLES, QUANTILE = 100, 0.95
LEAST = 4  # names of a side
K = 10


@dataclass(frozen=True)
class _Names:
    """Names of all kinds in one list: their kind, whether known, and how many tokens they have."""

    texts: tuple[str, ...]
    kind: np.ndarray
    known: np.ndarray
    kinds: tuple[str, ...]

    def by_kind(self) -> tuple[tuple[str, ...], ...]:
        """The names of each kind, known ones first."""
        whole = np.array(self.texts)
        return tuple(tuple(whole[self.kind == n].tolist()) for n in range(len(self.kinds)))


def entity_features(
    loaded: Loaded,
    progress: Progress,
    *,
    dictionary: str = "",
    dictionaries: Sequence[str] = (),
    known: Mapping[str, Sequence[str]] | Sequence[Any] = (),
    unknown: Mapping[str, Sequence[str]] | Sequence[Any] = (),
    most_density: float = MOST_DENSITY,
    shuffles: int = N_SHUFFLES,
    k: int = K,
    seed: int = 0,
) -> EntityFeatures:
    """Which features fire at the last token of known names and not of unknown ones, or turned.

    dictionaries  by name, for example one a layer; all of the model's for none
    known, unknown  names by kind ({"city": [...]}, or pairs of kind and names); without them
                  twelve famous and twelve invented names of four kinds, a smoke test only
    Control: known and unknown shuffled within each kind, the largest score of all features.
    """
    books = chosen(loaded, dictionary, dictionaries)
    names = _names(known, unknown)
    texts = [
        placed(loaded, SENTENCES.get(names.kinds[kind], PLAIN), name)
        for name, kind in zip(names.texts, names.kind, strict=True)
    ]
    sizes = np.array([len(loaded.tokenizer(t, add_special_tokens=False)["input_ids"])
                      for t in names.texts])  # fmt: skip
    parts = []
    for number, book in enumerate(books):
        progress.step(number / len(books), f"{book.name}, {number + 1} of {len(books)}")
        fires = _fires(loaded, progress, book, texts)
        density = _density(loaded, progress, book)
        parts.append(_scored(fires, density, names, sizes, most_density, shuffles, k, seed))
    stacked = {
        key: np.stack([part[key] for part in parts], axis=1)
        for key in parts[0]
        if key != "n_left_out"
    }
    return EntityFeatures(
        request={},
        dictionaries=tuple(book.name for book in books),
        sites=tuple(str(book.site) for book in books),
        kinds=names.kinds,
        names=names.by_kind(),
        n_known=tuple(np.bincount(names.kind[names.known]).tolist()),
        most_density=most_density,
        n_shuffles=shuffles,
        n_left_out=tuple(int(part["n_left_out"]) for part in parts),
        tokens_known=float(sizes[names.known].mean()),
        tokens_unknown=float(sizes[~names.known].mean()),
        **stacked,
    )


@cache
def _built_in() -> dict[str, dict[str, list[str]]]:
    found: dict[str, dict[str, list[str]]] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def _names(known: Any, unknown: Any) -> _Names:
    """The names asked for, known ones of each kind first. Raises `Error`."""
    sides = [dict(known), dict(unknown)]
    if not any(sides):
        lists = _built_in()
        sides = [{kind: lists[kind][side] for kind in lists} for side in ("known", "invented")]
    if set(sides[0]) != set(sides[1]):
        raise Error("known= and unknown= need the same kinds of names, for example 'city'")
    texts: list[str] = []
    kinds, marks = [], []
    for number, kind in enumerate(sides[0]):
        for side, mark in zip(sides, (True, False), strict=True):
            words = strings_of(side[kind], f"{'known' if mark else 'unknown'} names", LEAST)
            texts += words
            kinds += [number] * len(words)
            marks += [mark] * len(words)
    return _Names(tuple(texts), np.array(kinds), np.array(marks), tuple(map(str, sides[0])))


def _fires(
    loaded: Loaded, progress: Progress, book: SparseDict, texts: Sequence[tuple[list[int], int]]
) -> np.ndarray:
    """[name, feature] bool: does it fire at the last token of the name."""
    found = np.zeros((len(texts), book.n_features), dtype=bool)
    for batch in text_batches(book, [ids for ids, _ in texts]):
        keep = [[place == texts[n][1] for place in range(len(texts[n][0]))] for n in batch]
        read = seen(loaded, progress, book, [texts[n][0] for n in batch], keep=keep)
        row = np.array(batch)[read.codes.token.cpu().numpy()]
        found[row, read.codes.feature.cpu().numpy()] = True
    return found


def _density(loaded: Loaded, progress: Progress, book: SparseDict) -> np.ndarray:
    """Share of the reference text's tokens on which each feature fires, [feature]."""
    texts = reference_chunks(loaded)
    counts, n = torch.zeros(book.n_features, dtype=torch.int64), 0
    for batch in text_batches(book, texts):
        chunk = [texts[number] for number in batch]
        keep = [counted(loaded, ids) for ids in chunk]
        read = seen(loaded, progress, book, chunk, keep=keep)
        own = torch.bincount(read.codes.feature.long(), minlength=book.n_features)
        counts += own.cpu()
        n += read.codes.n_tokens
    found: np.ndarray = counts.numpy() / max(1, n)
    return found


def _differences(fires: np.ndarray, known: np.ndarray, kind: np.ndarray) -> np.ndarray:
    """s of every kind and feature, [kind, feature]."""
    rows = []
    for number in range(int(kind.max()) + 1):
        own = kind == number
        rows.append(fires[own & known].mean(axis=0) - fires[own & ~known].mean(axis=0))
    return np.stack(rows)


def _scored(
    fires: np.ndarray,
    density: np.ndarray,
    names: _Names,
    sizes: np.ndarray,
    most_density: float,
    shuffles: int,
    k: int,
    seed: int,
) -> dict[str, Any]:
    """Scores of one dictionary; first axis: the direction."""
    kept = np.flatnonzero(density <= most_density)
    if len(kept) < k:
        raise Error(f"{len(kept)} features fire on at most {most_density:.0%} of ordinary text")
    some = fires[:, kept].astype(np.float32)
    own = _differences(some, names.known, names.kind)
    drawn = np.random.default_rng(seed)
    chance = [_extremes(_differences(some, _dealt(names, drawn), names.kind))
              for _ in range(shuffles)]  # fmt: skip
    best, general = _extremes(own)
    control_best, control_general = (
        np.quantile(np.stack(part), QUANTILE, axis=0) for part in zip(*chance, strict=True)
    )
    adjusted = _adjusted(some, names.known, sizes)
    order = [np.argsort(-(sign * own).min(axis=0), kind="stable")[:k] for sign in (1, -1)]
    return {
        "best": best,
        "general": general,
        "control_best": control_best,
        "control_general": control_general,
        "feature": np.stack([kept[at] for at in order]),
        "score": np.stack([sign * own[:, at].T for sign, at in zip((1, -1), order, strict=True)]),
        "adjusted": np.stack([s * adjusted[at] for s, at in zip((1, -1), order, strict=True)]),
        "density": np.stack([density[kept[at]] for at in order]),
        "n_left_out": len(density) - len(kept),
    }


def _extremes(score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(largest s [direction, kind], largest smallest s [direction]) over features."""
    signed = np.stack([score, -score])
    assert len(signed) == len(DIRECTIONS)
    return signed.max(axis=-1), signed.min(axis=1).max(axis=-1)


def _dealt(names: _Names, drawn: np.random.Generator) -> np.ndarray:
    """Known and unknown dealt out anew within each kind."""
    mixed = names.known.copy()
    for kind in range(len(names.kinds)):
        own = names.kind == kind
        mixed[own] = drawn.permutation(mixed[own])
    return mixed


def _adjusted(fires: np.ndarray, known: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """The difference between known and unknown once the number of tokens is regressed out."""
    design = np.stack([known, sizes, np.ones(len(known))], axis=1).astype(float)
    found: np.ndarray = np.linalg.lstsq(design, fires.astype(float), rcond=None)[0][0]
    return found
