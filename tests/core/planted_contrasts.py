"""Contrasts planted in an unembedding, and contrasts of words that the embedded model learned."""

import numpy as np
import torch

from core.analyses.whitening import Moments, Whitening, whitening
from core.analyses.word_contrasts import Contrast, Place
from core.corpus.world.words import COUNTRIES, DEGREES, GENDER_PAIRS, NOUNS, VERBS, plural
from core.spec.concept_set import ConceptSet, Group

N_TOKENS, WIDTH, N_CONCEPTS, N_PAIRS = 20_000, 256, 12, 30
SHARE = 0.02  # of the tokens that have a concept


def group(name: str, pairs: list[tuple[str, str]]) -> Group:
    one, other = zip(*[pair for pair in pairs if pair[0] != pair[1]], strict=True)
    return Group(name, one, other)


def learned() -> ConceptSet:
    """Contrasts of the generated world: the words whole models of it have as single tokens."""
    groups = (
        group("gender", list(GENDER_PAIRS)),
        group("plural", [(word, plural(word)) for word in NOUNS]),
        group("past", [(now, then) for now, then, _ in VERBS]),
        group("comparative", [(plain, more) for plain, more, _ in DEGREES]),
        group("capital", [(country, city) for country, city, *_ in COUNTRIES]),
    )
    return ConceptSet("learned", "pairs", groups)


def white(rows: np.ndarray) -> Whitening:
    moments = Moments()
    moments.add(torch.from_numpy(rows))
    return whitening(moments.mean, moments.covariance, moments.n)


def planted(seed: int = 0) -> tuple[Place, list[Contrast]]:
    """12 independent binary concepts that share a common part, on a power-law background.

    Few tokens have a concept, as few words are female or plural: of a concept that half of all
    tokens have, whitening leaves a difference of length 2 at most. A pair is two tokens that differ
    in one concept and in their background.
    """
    rng = np.random.default_rng(seed)
    common = rng.normal(size=WIDTH)
    concepts = (rng.normal(size=(N_CONCEPTS, WIDTH)) + 0.8 * common) / 2
    turned = np.linalg.qr(rng.normal(size=(WIDTH, WIDTH)))[0]
    spread = np.arange(1, WIDTH + 1) ** -0.5 * turned
    has = (rng.random((N_TOKENS, N_CONCEPTS)) < SHARE).astype(int)
    contrasts = []
    for concept in range(N_CONCEPTS):
        start = concept * 2 * N_PAIRS
        first = np.arange(start, start + 2 * N_PAIRS, 2)
        has[first + 1] = has[first]
        has[first, concept], has[first + 1, concept] = 0, 1
        numbers = tuple(first.tolist()), tuple((first + 1).tolist())
        contrasts.append(Contrast(f"concept {concept}", *numbers))
    rows = has @ concepts + rng.normal(size=(N_TOKENS, WIDTH)) @ spread
    n_words = 2 * N_PAIRS * N_CONCEPTS
    place = Place(
        words=tuple(f"w{number}" for number in range(n_words)),
        rows=rows[:n_words],
        missing={},
        pool=torch.from_numpy(rows[n_words:]),
        used=np.arange(N_TOKENS - n_words),
        white=white(rows),
        layer=None,
        shrunk=0.0,
        n_tokens=N_TOKENS,
    )
    return place, contrasts
