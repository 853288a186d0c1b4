"""Contexts to test a label on: where a feature fires at every height, and where it is silent."""

from dataclasses import dataclass

import numpy as np
import torch

from core.dictionaries.sparse import SparseDict
from core.galleries.codes import CodeStore
from core.galleries.reading import FeatureGallery

LENGTH, BEFORE = 32, 23  # tokens of a context; of them in front of the one it is chosen for
N_ACTIVE, N_SILENT, N_TENTHS = 50, 50, 10
N_NEAR = 10
MOST_PEAKS = 200  # of a neighbour that are looked at


@dataclass(frozen=True)
class Material:
    """Pieces of half B: tokens first:last of the gallery's text, chosen for the token `peak`."""

    first: np.ndarray
    last: np.ndarray
    peak: np.ndarray
    active: np.ndarray
    kind: tuple[str, ...]
    n_active: int  # contexts of half B in which the feature fires, all of them


def material(gallery: FeatureGallery, dictionary: SparseDict, feature: int, seed: int) -> Material:
    """Up to 50 pieces in which the feature fires, over ten tenths of the peaks, and up to 50 in
    which it does not: half of them peaks of the nearest features, half at random tokens.
    """
    text, codes = gallery.text, gallery.need_codes()
    drawn = np.random.default_rng(seed)
    token, value = codes.of_feature(feature)
    fires = np.zeros(text.n_tokens, dtype=bool)
    fires[token] = True
    in_b = text.token_half == 1
    peaks = _peaks(text.context, token[in_b[token]], value[in_b[token]])
    chosen, kinds = _tenths(peaks, drawn)
    near = nearest(codes, dictionary, feature, token)
    taken = set(text.context[chosen].tolist())
    hard = _silent(gallery, _of_others(codes, near, in_b, drawn), fires, taken, N_SILENT // 2)
    free = np.flatnonzero(in_b & text.keep)
    random = _silent(gallery, drawn.permutation(free), fires, taken, N_SILENT - len(hard))
    peak = np.concatenate([chosen, hard, random]).astype(np.int64)
    first, last = _bounds(gallery, peak)
    return Material(
        first,
        last,
        peak,
        np.arange(len(peak)) < len(chosen),
        (*kinds, *("hard",) * len(hard), *("random",) * len(random)),
        len(peaks),
    )


def _peaks(context: np.ndarray, token: np.ndarray, value: np.ndarray) -> np.ndarray:
    """The strongest token of each context, strongest first."""
    order = np.lexsort((token, -value))
    _, first = np.unique(context[token[order]], return_index=True)
    return token[order][np.sort(first)]


def _tenths(peaks: np.ndarray, drawn: np.random.Generator) -> tuple[np.ndarray, list[str]]:
    """Up to five of every tenth of the ranked peaks."""
    each = N_ACTIVE // N_TENTHS
    chosen, kinds = [], []
    for number, part in enumerate(np.array_split(peaks, N_TENTHS), 1):
        some = drawn.permutation(part)[:each]
        chosen.append(some)
        kinds += [f"tenth {number}"] * len(some)
    return np.concatenate(chosen).astype(np.int64), kinds


def nearest(codes: CodeStore, dictionary: SparseDict, feature: int, token: np.ndarray) -> list[int]:
    """The features next to this one: five by co-firing (Jaccard), five by decoder direction."""
    n = np.diff(codes.columns_start).astype(float)
    both = np.zeros(len(n))
    for place in token[:100_000]:
        start, end = codes.rows_start[place], codes.rows_start[place + 1]
        both[codes.rows_feature[start:end]] += 1
    jaccard = both / np.maximum(n + len(token) - both, 1)
    rows = dictionary.W_dec.float()
    cosine = torch.cosine_similarity(rows, rows[feature][None], dim=1).cpu().numpy()
    found: list[int] = []
    for score in (jaccard, np.where(n > 0, cosine, -2.0)):
        score[[feature, *found]] = -3.0
        found += np.argsort(-score, kind="stable")[: N_NEAR // 2].tolist()
    return [one for one in found if n[one] > 0]


def _of_others(
    codes: CodeStore, near: list[int], in_b: np.ndarray, drawn: np.random.Generator
) -> np.ndarray:
    """Strong firings of the neighbours on half B, in turn."""
    lists = []
    for other in near:
        token, value = codes.of_feature(other)
        token, value = token[in_b[token]], value[in_b[token]]
        lists.append(token[np.argsort(-value, kind="stable")][:MOST_PEAKS])
    ranked = [(rank, drawn.random(), t) for one in lists for rank, t in enumerate(one.tolist())]
    return np.array([t for _, _, t in sorted(ranked)], dtype=np.int64)


def _silent(
    gallery: FeatureGallery, places: np.ndarray, fires: np.ndarray, taken: set[int], n: int
) -> np.ndarray:
    """The first n of the places in whose whole piece the feature is silent, one a context."""
    found: list[int] = []
    for start in range(0, len(places), 512):
        part = places[start : start + 512]
        for place, first, last in zip(part, *_bounds(gallery, part), strict=True):
            context = int(gallery.text.context[place])
            if len(found) < n and context not in taken and not fires[first:last].any():
                taken.add(context)
                found.append(int(place))
        if len(found) >= n:
            break
    return np.array(found, dtype=np.int64)


def _bounds(gallery: FeatureGallery, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(first, last) of the piece around each token, inside its context, special tokens left out."""
    text = gallery.text
    context = text.context[place]
    start, end = text.start[context], text.start[context + 1]
    first = np.maximum(start, place - BEFORE)
    last = np.minimum(end, first + LENGTH)
    first = np.maximum(start, np.minimum(first, last - LENGTH))
    return first, last
