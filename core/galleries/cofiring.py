"""How often a feature fires on the same tokens as every other, from a gallery's codes."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from core.galleries.reading import RARE, FeatureGallery

LEAST_PEARSON = 30
MOST_TOKENS = 200_000  # that pairs of all features are counted on
LEAST_SHARE, LEAST_TIMES, LEAST_LIFT = 0.9, 3, 2.0  # of parents and children


@dataclass(frozen=True)
class Together:
    """One feature beside all; [feature] each, NaN where one of the two fires too seldom."""

    n: int  # tokens that count
    count: np.ndarray  # tokens on which each fires
    own: int  # on which this one does
    both: np.ndarray  # on which both do
    jaccard: np.ndarray
    phi: np.ndarray
    lift: np.ndarray
    pearson: np.ndarray


def entries(gallery: FeatureGallery, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(which of the tokens, place in the codes) of every entry of some tokens [token] int64."""
    start = gallery.need_codes().rows_start
    first, counts = start[tokens], start[tokens + 1] - start[tokens]
    of = np.repeat(np.arange(len(tokens)), counts)
    offset = np.arange(len(of)) - np.repeat(counts.cumsum() - counts, counts)
    return of, first[of] + offset


def together(gallery: FeatureGallery, feature: int) -> Together:
    """Firing together with every feature, and Pearson's r of the activations over all tokens."""
    codes = gallery.need_codes()
    tokens, value = codes.of_feature(feature)
    of, place = entries(gallery, tokens)
    other = codes.rows_feature[place].astype(np.int64)
    size, n = gallery.n_features, gallery.n_tokens
    both = np.bincount(other, minlength=size)
    product = np.bincount(
        other, value[of].astype(float) * codes.rows_value[place].astype(float), minlength=size
    )
    count, own = gallery.count, int(gallery.count[feature])
    enough = (count >= RARE) & (own >= RARE)
    with np.errstate(invalid="ignore", divide="ignore"):
        jaccard = both / (count + own - both)
        lift = both * float(n) / (count * float(own))
        apart = (both * float(n) - count * float(own)) / np.sqrt(
            count * float(own) * (n - count) * float(n - own)
        )
        pearson = _pearson(gallery, feature, product)
    pearson[(count < LEAST_PEARSON) | (own < LEAST_PEARSON)] = np.nan
    jaccard, phi, lift = (np.where(enough, part, np.nan) for part in (jaccard, apart, lift))
    return Together(n, count, own, both, jaccard, phi, lift, pearson)


def _pearson(gallery: FeatureGallery, feature: int, product: np.ndarray) -> np.ndarray:
    n, total, squares = float(gallery.n_tokens), gallery.total, _squares(gallery)
    spread = n * squares - total**2
    found: np.ndarray = (n * product - total * total[feature]) / np.sqrt(spread * spread[feature])
    return found


def _squares(gallery: FeatureGallery) -> np.ndarray:
    squares = gallery.squares
    return squares.sum(0) if squares.ndim == 2 else squares


def jaccards(
    gallery: FeatureGallery, features: np.ndarray, most: int = MOST_TOKENS
) -> Callable[[np.ndarray], np.ndarray]:
    """A function from places in `features` to the Jaccard indices [some, feature] of those with
    all of `features`, over up to `most` tokens spread evenly.
    """
    from scipy.sparse import csr_matrix  # slow to import

    codes = gallery.need_codes()
    kept = np.flatnonzero(gallery.text.keep)
    kept = kept[:: max(1, -(-len(kept) // most))]
    of, place = entries(gallery, kept)
    shape = (len(kept), gallery.n_features)
    column = codes.rows_feature[place].astype(np.int32)
    fires = csr_matrix((np.ones(len(of), np.float32), (of, column)), shape=shape)[:, features]
    turned = fires.T.tocsr()
    count = np.asarray(fires.sum(axis=0))[0]

    def similar(some: np.ndarray) -> np.ndarray:
        both = (turned[some] @ fires).toarray()
        found: np.ndarray = both / np.maximum(count[some][:, None] + count[None] - both, 1)
        return found

    return similar


def shifted_jaccard(
    gallery: FeatureGallery, feature: int, n_shifts: int, seed: int = 0
) -> np.ndarray:
    """The largest Jaccard index of any feature with this one's firings turned round in the text
    by a random number of tokens, [shift]."""
    codes = gallery.need_codes()
    counted = np.flatnonzero(gallery.text.keep)
    tokens, _ = codes.of_feature(feature)
    at = np.searchsorted(counted, tokens)
    generator = np.random.default_rng(seed)
    enough = gallery.count >= RARE
    found = np.zeros(n_shifts)
    for shift in range(n_shifts):
        step = int(generator.integers(1, max(2, len(counted))))
        _, place = entries(gallery, np.sort(counted[(at + step) % len(counted)]))
        both = np.bincount(codes.rows_feature[place], minlength=gallery.n_features)
        jaccard = both / np.maximum(1, gallery.count + len(tokens) - both)
        found[shift] = jaccard[enough].max(initial=0)
    return found


def parents(found: Together, feature: int) -> np.ndarray:
    """Features that fire on nearly all tokens of this one and far more often, best first."""
    share = found.both / max(1, found.own)
    fits = (
        (share >= LEAST_SHARE)
        & (found.count >= LEAST_TIMES * found.own)
        & (found.lift >= LEAST_LIFT)
    )
    return _ranked(fits, share, feature)


def children(found: Together, feature: int) -> np.ndarray:
    """Features nearly all of whose tokens are this one's, and that fire far less often."""
    share = found.both / np.maximum(1, found.count)
    fits = (
        (share >= LEAST_SHARE)
        & (found.own >= LEAST_TIMES * found.count)
        & (found.lift >= LEAST_LIFT)
    )
    return _ranked(fits, share * found.count, feature)


def _ranked(fits: np.ndarray, score: np.ndarray, feature: int) -> np.ndarray:
    fits = fits.copy()
    fits[feature] = False
    order = np.flatnonzero(fits)
    return order[np.argsort(-score[order], kind="stable")]
