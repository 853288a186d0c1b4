"""Which features one text, or one model, has less or more of than another.

After "Uncovering Conceptual Blindspots in Generative Image Models Using Sparse Autoencoders": one
shared dictionary, mean energies of its features on two sides, their ratio.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from scipy import sparse

from core.analyses.feature_gallery import N_CONTEXTS, opened
from core.analyses.feature_rows import opened_dictionary
from core.analyses.runs import Progress
from core.corpus.chunks import WINDOW
from core.corpus.readers import Corpus
from core.galleries.reading import FeatureGallery
from core.models.loaded import Loaded
from core.results.blind_spots import BlindSpots
from core.spec.errors import Error

LEAST_FIRES = 15  # on both sides together
N_DRAWS = 400
_DRAWS_AT_ONCE = 50


def blind_spots(
    loaded: Loaded,
    progress: Progress,
    *,
    dictionary: str,
    corpus: Corpus = "built-in",
    with_corpus: Corpus = "",
    other: Loaded | None = None,
    field: str = "text",
    window: int = WINDOW,
    n_contexts: int = N_CONTEXTS,
    seed: int = 0,
) -> BlindSpots:
    """Energy and prevalence of every feature on two sides, with intervals.

    with_corpus  the text of side B; without it the same text, and then `other` is needed
    other        the model of side B: its activations go through the same dictionary
    """
    if other is None and not with_corpus:
        raise Error("say what to compare with: with_corpus= another text, or other= another model")
    book = opened_dictionary(loaded, dictionary)
    there = loaded
    if other is not None:
        there = replace(other, dictionaries={book.name: book})
        opened_dictionary(there, dictionary)
        if other.width(book.site) != loaded.width(book.site):
            raise Error(f"{book.site} of {other.name} is not as wide as that of {loaded.name}")
    place: dict[str, Any] = {"field": field, "window": window, "n_contexts": n_contexts}
    one = opened(loaded, progress, dictionary=dictionary, corpus=corpus, **place)
    two = opened(there, progress, dictionary=dictionary, corpus=with_corpus or corpus, **place)
    return _compared(one, two, (loaded.name, there.name), seed)


def _compared(
    one: FeatureGallery, two: FeatureGallery, models: tuple[str, str], seed: int
) -> BlindSpots:
    kept = np.flatnonzero(one.count + two.count >= LEAST_FIRES)
    if not len(kept):
        raise Error(f"no feature fires {LEAST_FIRES} times on the two sides; take longer texts")
    sums = [_sums(gallery, kept) for gallery in (one, two)]
    tokens = [_tokens(gallery) for gallery in (one, two)]
    paired = one.manifest.corpus_fingerprint == two.manifest.corpus_fingerprint
    firing = (one.total + two.total)[kept] / (one.count + two.count)[kept]
    drawn = np.random.default_rng(seed)
    change = _change([_all(s) for s in sums], [t.sum() for t in tokens], firing)
    low, high = _interval(sums, tokens, firing, paired, drawn)
    dealt = _dealt(sums, tokens, paired, drawn)
    chance = _change([_all(s) for s in dealt[0]], [t.sum() for t in dealt[1]], firing)
    chance_low, chance_high = _interval(*dealt, firing, paired, drawn)
    lengths = one.lengths[kept]
    same = one.manifest.corpus == two.manifest.corpus
    names = models if models[0] != models[1] else (one.manifest.corpus, two.manifest.corpus)
    if models[0] != models[1] and not same:
        names = (f"{models[0]} on {one.manifest.corpus}", f"{models[1]} on {two.manifest.corpus}")
    return BlindSpots(
        request={},
        dictionary=one.manifest.dictionary,
        site=one.manifest.site,
        sides=(names[0], names[1]),
        n_tokens=(one.n_tokens, two.n_tokens),
        n_contexts=(one.n_contexts, two.n_contexts),
        paired=paired,
        n_beyond=int(((low > 0) | (high < 0)).sum()),
        control_beyond=int(((chance_low > 0) | (chance_high < 0)).sum()),
        feature=kept,
        energy=np.stack([g.total[kept] / max(1, g.n_tokens) * lengths for g in (one, two)]),
        prevalence=np.stack([g.contexts_fired[kept] / g.n_contexts for g in (one, two)]),
        change=change,
        low=low,
        high=high,
        control=chance,
    )


def _sums(gallery: FeatureGallery, kept: np.ndarray) -> sparse.csr_matrix:
    """Summed activation [context, kept feature]."""
    codes, column = gallery.need_codes(), np.full(gallery.n_features, -1)
    column[kept] = np.arange(len(kept))
    whole = sparse.csr_matrix((gallery.n_contexts, len(kept)))
    for part, token, value in codes.columns():
        n = np.diff(codes.columns_start[part.start : part.stop + 1])
        feature = column[np.repeat(np.array(part), n)]
        live = feature >= 0
        where = (gallery.text.context[token[live]], feature[live])
        whole = whole + sparse.csr_matrix((value[live].astype(float), where), shape=whole.shape)
    return sparse.csr_matrix(whole)


def _tokens(gallery: FeatureGallery) -> np.ndarray:
    """Counted tokens of each context."""
    return np.bincount(
        gallery.text.context[gallery.text.keep], minlength=gallery.n_contexts
    ).astype(float)


def _all(sums: sparse.csr_matrix) -> np.ndarray:
    return np.asarray(sums.sum(axis=0)).reshape(-1)


def _change(sums: list[Any], tokens: list[Any], firing: np.ndarray) -> np.ndarray:
    """log2 of the energies' ratio, one average firing added on either side."""
    one, two = (
        (total + firing) / (np.asarray(n)[..., None] + 1)
        for total, n in zip(sums, tokens, strict=True)
    )
    found: np.ndarray = np.log2(two / one)
    return found


def _interval(
    sums: list[sparse.csr_matrix],
    tokens: list[np.ndarray],
    firing: np.ndarray,
    paired: bool,
    drawn: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """95 % over contexts drawn again; the same ones on both sides where these are paired."""
    found = []
    for _ in range(0, N_DRAWS, _DRAWS_AT_ONCE):
        picks = [_again(len(each), drawn) for each in tokens]
        picks = [picks[0], picks[0]] if paired else picks
        totals = [np.asarray((s.T @ p.T).T) for s, p in zip(sums, picks, strict=True)]
        counts = [p @ n for p, n in zip(picks, tokens, strict=True)]
        found.append(_change(totals, counts, firing).astype("float32"))
    low, high = np.quantile(np.concatenate(found), (0.025, 0.975), axis=0)
    return low, high


def _again(n: int, drawn: np.random.Generator) -> np.ndarray:
    """How often each of n contexts is drawn, [draw, context]."""
    return drawn.multinomial(n, np.full(n, 1 / n), _DRAWS_AT_ONCE).astype(float)


def _dealt(
    sums: list[sparse.csr_matrix],
    tokens: list[np.ndarray],
    paired: bool,
    drawn: np.random.Generator,
) -> tuple[list[sparse.csr_matrix], list[np.ndarray]]:
    """The contexts of both sides dealt out anew; paired ones change sides or stay."""
    both, length = sparse.vstack(sums).tocsr(), np.concatenate(tokens)
    n, m = len(tokens[0]), len(tokens[1])
    order = drawn.permutation(n + m)
    if paired:
        swap = drawn.random(n) < 0.5
        first = np.arange(n) + n * swap
        order = np.concatenate([first, (first + n) % (2 * n)])
    parts = (order[:n], order[n:])
    return [both[part] for part in parts], [length[part] for part in parts]
