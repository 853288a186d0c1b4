"""Concepts of words of several tokens as frames, each word tested against its own concept."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from core.analyses.contrast import auc
from core.analyses.runs import Progress
from core.analyses.word_frames import (
    LEAST,
    Vectors,
    Words,
    concept_words,
    correlation,
    full_rank,
    own_correlation,
    procrustes,
    rank,
    vectors,
)
from core.concept_sets import asked
from core.models.loaded import Loaded
from core.results.frames import Frames
from core.spec.concept_set import ConceptSet
from core.spec.errors import Error

N_DRAWS = 40
MOST_CONCEPTS = 120
MOST_NUMBERS = 60_000_000  # of all frames: words x tokens x d_model


def frames(
    loaded: Loaded,
    progress: Progress,
    *,
    concepts: Any = "categories",
    concept: str = "",
    against: str = "",
    inner: str = "causal",
    unit: bool = True,
    most_tokens: int = 3,
    seed: int = 0,
) -> Frames:
    """Every concept as the Procrustes mean of its words' frames, and who lies near it.

    concepts     a set of word lists; of a set of pairs the two halves are two concepts
    concept, against  A and B of the combined concept A - B, by name; "": the first two
    inner        "causal": whitened rows of the unembedding; "raw": centred ones
    unit         token vectors of length 1, so that a word's frequency has no say; False as in the
                 paper's code
    most_tokens  longer words are left out, with the reason

    Control: random words of as many tokens, words of the other concepts, A and B dealt out anew.
    """
    given = asked(concepts)
    progress.step(0.0, "whitening")
    basis = vectors(loaded, inner, unit, most_tokens, progress.check)
    found, dropped, left_out = concept_words(loaded, given, basis)
    _fits(found)
    pair = _pair(found, concept, against)
    rng = np.random.default_rng(seed)
    means = np.stack([procrustes(one.frames.sum(axis=0)) for one in found])
    strange = [basis.random(one.ids, rng) for one in found]
    arrays = _scores(found, means, strange)
    progress.step(0.5, "random words")
    arrays |= _chance(found, basis, rng, progress)
    arrays |= _combined(given, found, pair, rng, progress)
    return Frames(
        request={},
        concept_set=given.name,
        inner=inner,
        unit=basis.unit,
        most_tokens=most_tokens,
        concepts=tuple(one.name for one in found),
        words=tuple(word for one in found for word in one.words),
        dropped=tuple(dropped),
        left_out=tuple(left_out),
        pair=(found[pair[0]].name, found[pair[1]].name),
        n_draws=N_DRAWS,
        seed=seed,
        word_concept=np.repeat(np.arange(len(found)), [len(one.words) for one in found]),
        n_tokens=np.concatenate([rank(one.frames) for one in found]),
        correlation=correlation(means, means).astype(np.float32),
        **{name: value.astype(np.float32) for name, value in arrays.items()},
    )


def _fits(found: Sequence[Words]) -> None:
    if len(found) > MOST_CONCEPTS:
        raise Error(f"{len(found)} concepts; at most {MOST_CONCEPTS} are compared at once")
    if sum(one.frames.size for one in found) > MOST_NUMBERS:
        n = sum(len(one.words) for one in found)
        raise Error(f"{n:,} words are more than fit into memory as frames; choose fewer concepts")


def _pair(found: Sequence[Words], concept: str, other: str) -> tuple[int, int]:
    """The two concepts that are set against each other: by default two that share no word."""
    names = [one.name for one in found]
    for name in (concept, other):
        if name and name not in names:
            raise Error(f"no concept {name[:40]!r}; there are {', '.join(names[:8])}")
    first = names.index(concept) if concept else 0
    if other:
        return first, names.index(other)
    known = set(found[first].ids)
    apart = [at for at, one in enumerate(found) if at != first and not known & set(one.ids)]
    return first, apart[0] if apart else first


def _scores(
    found: Sequence[Words], means: np.ndarray, strange: Sequence[np.ndarray]
) -> dict[str, np.ndarray]:
    """Own, random and other words against every concept."""
    columns: dict[str, list[Any]] = {
        name: [] for name in ("own", "random", "auc", "other_auc", "relative_rank")
    }
    for number, (one, random) in enumerate(zip(found, strange, strict=True)):
        mean = means[number][None]
        own, beside = own_correlation(one.frames), correlation(random, mean)[:, 0]
        known = set(one.ids)
        rest = [
            other.frames[[at for at, ids in enumerate(other.ids) if ids not in known]]
            for place, other in enumerate(found)
            if place != number
        ]
        away = [correlation(part, mean)[:, 0] for part in rest if len(part)]
        columns["own"].append(own)
        columns["random"].append(beside)
        columns["auc"].append(auc(own, beside))
        columns["other_auc"].append(auc(own, np.concatenate(away)) if away else np.nan)
        columns["relative_rank"].append(full_rank(one.frames))
    whole = ("auc", "other_auc")
    return {
        name: np.array(values) if name in whole else np.concatenate(values)
        for name, values in columns.items()
    }


def _chance(
    found: Sequence[Words], basis: Vectors, rng: np.random.Generator, progress: Progress
) -> dict[str, np.ndarray]:
    """Mean and spread of the concepts' correlations when every token is a random one.

    A token that two concepts share stays shared: nested lists are alike by that alone.
    """
    number = {token: 0 for one in found for word in one.ids for token in word}
    number = {token: at for at, token in enumerate(number)}
    counts = np.zeros((len(found), basis.width, len(number)))
    for row, one in enumerate(found):
        for word in one.ids:
            for column, token in enumerate(word):
                counts[row, column, number[token]] += 1
    drawn = []
    for _ in range(N_DRAWS):
        progress.check()
        vectors_ = basis.pool[rng.integers(len(basis.pool), size=len(number))]
        means = procrustes((counts @ vectors_).transpose(0, 2, 1))
        drawn.append(correlation(means, means))
    return {"control_mean": np.mean(drawn, axis=0), "control_sd": np.std(drawn, axis=0)}


def _combined(
    given: ConceptSet,
    found: Sequence[Words],
    pair: tuple[int, int],
    rng: np.random.Generator,
    progress: Progress,
) -> dict[str, np.ndarray]:
    """Each word's correlation with A - B built without it, and whether it tells A from B."""
    starts = np.cumsum([0, *[len(one.words) for one in found]])
    values = np.full(starts[-1], np.nan)
    one, other = (found[number] for number in pair)
    related = _related(given, one, other)
    both = _twice(one, other)
    if pair[0] == pair[1] or min((~both[0]).sum(), (~both[1]).sum()) < LEAST:
        nothing = np.full(1, np.nan)
        return {"combined": values, "combined_auc": nothing, "combined_control": nothing}
    a, b = _against(one.frames, other.frames, related)
    a[both[0]], b[both[1]] = np.nan, np.nan
    values[starts[pair[0]] : starts[pair[0] + 1]] = a
    values[starts[pair[1]] : starts[pair[1] + 1]] = b
    whole = np.concatenate([one.frames[~both[0]], other.frames[~both[1]]])
    n_a = int((~both[0]).sum())
    chance = []
    for _ in range(N_DRAWS):
        progress.check()
        mixed = whole[rng.permutation(len(whole))]
        alone = np.zeros((n_a, len(whole) - n_a), dtype=bool)
        chance.append(auc(*_against(mixed[:n_a], mixed[n_a:], alone)))
    return {
        "combined": values,
        "combined_auc": np.array([auc(a[~both[0]], b[~both[1]])]),
        "combined_control": np.array(chance),
    }


def _related(given: ConceptSet, one: Words, other: Words) -> np.ndarray:
    """[word of A, word of B] bool: the two are a pair of the set, or the same word.

    walk lies near walks: with its partner left in B, a word would lie on the wrong side by that.
    """
    paired = given.pairs() if given.kind == "pairs" else ()
    partners = {(a, b) for _, a, b in paired}
    return np.array(
        [
            [ids == ids_b or (a, b) in partners or (b, a) in partners
             for b, ids_b in zip(other.words, other.ids, strict=True)]
            for a, ids in zip(one.words, one.ids, strict=True)
        ]
    )  # fmt: skip


def _twice(one: Words, other: Words) -> tuple[np.ndarray, np.ndarray]:
    """Words of A that stand in B as well, and those of B in A: they belong to neither."""
    shared = set(one.ids) & set(other.ids)
    first, second = (np.array([ids in shared for ids in part.ids]) for part in (one, other))
    return first, second


def _against(
    one: np.ndarray, other: np.ndarray, related: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Correlations of the words of A and of B with A - B, each built without the word.

    related [word of A, word of B]: what is left out of the other side with it
    """
    a, b = one.sum(axis=0), other.sum(axis=0)
    less_b = np.einsum("ab,bdk->adk", related.astype(float), other)
    less_a = np.einsum("ab,adk->bdk", related.astype(float), one)
    without_a = procrustes(procrustes(a - one) - procrustes(b - less_b))
    without_b = procrustes(procrustes(a - less_a) - procrustes(b - other))
    return _along(one, without_a), _along(other, without_b)


def _along(words: np.ndarray, concepts: np.ndarray) -> np.ndarray:
    """[word] correlation of word n with concept n."""
    traces = (words * concepts).sum(axis=(1, 2))
    both = np.sqrt(rank(words) * rank(concepts))
    return np.divide(traces, both, out=np.zeros_like(traces), where=both > 0)
