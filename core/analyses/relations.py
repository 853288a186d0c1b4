"""Is a relation the same offset everywhere? Parallelism, analogies with their baselines, and
what else hides in the offsets, at every depth.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from core.analyses import offsets
from core.analyses.clouds import components, cosines, unit
from core.analyses.relation_words import (
    DISTRACTORS,
    LEAST_PAIRS,
    Relations,
    frequent,
    relation_words,
)
from core.analyses.runs import Progress
from core.models.loaded import Loaded
from core.results.relations import RelationOffsets
from core.spec.errors import Error

MOST_PAIRS = 200  # of one relation
ASKED_PAIRS = 50  # whose analogies are asked
MOST_VOCABULARY = 20_000
COMPONENTS = 3


def relations(
    loaded: Loaded,
    progress: Progress,
    *,
    concepts: Any = "",
    only: Sequence[str] = (),
    contexts: Sequence[str] = (),
    read: str = "last",
    prepare: str = "centre",
    project_out: Sequence[str] = (),
    most_pairs: int = ASKED_PAIRS,
    vocabulary: int = MOST_VOCABULARY,
    seed: int = 0,
) -> RelationOffsets:
    """How parallel the offsets of each relation are at every layer and in the unembedding.

    concepts     a set of pairs, each group a relation
    only         names of relations; () for all
    project_out  of "pieces", "characters", "frequency", "capital": taken out of all vectors by
                 least squares first
    most_pairs   of a relation whose analogies are asked; all pairs (to 200) count otherwise
    vocabulary   frequent tokens that an answer may be beside the words of the set (unembedding)
    """
    _whole("most_pairs", most_pairs, 2, MOST_PAIRS)
    _whole("vocabulary", vocabulary, 0, 100_000)
    one = relation_words(
        loaded, progress, concepts, contexts=contexts, read=read, prepare=prepare,
        project_out=project_out, only=only, most_pairs=MOST_PAIRS, seed=seed,
    )  # fmt: skip
    if one.prepare == "centre" and not one.project_out and one.table is not None:
        others = frequent(loaded, one.table, vocabulary, one.out[one.out >= 0].tolist())
    else:
        others = np.zeros((0, loaded.d_model))  # they were not prepared the same way
    rows = []
    for row in range(len(one.rows)):
        progress.step(0.5 + 0.5 * row / len(one.rows), f"offsets, {one.rows[row]}")
        more = others if one.rows[row] == "unembedding" else others[:0]
        rows.append(_row(one, row, more, most_pairs, seed, progress))
    found = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    return _result(one, found, seed, len(others))


def _whole(name: str, value: Any, least: int, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise Error(f"{name} is a whole number from {least} to {most:,}, not {str(value)[:20]!r}")


def _row(
    one: Relations, row: int, others: np.ndarray, most: int, seed: int, progress: Progress
) -> dict[str, Any]:
    """Every measure of one depth."""
    cloud, has = one.vectors(row)
    if len(others) and has.any():  # centred by the words' own mean, as they were
        assert one.table is not None
        own = one.table.rows[one.out[has].tolist()].double().numpy()
        others = others - own.mean(axis=0)
    parts = []
    for number in range(len(one.names)):
        progress.check()
        parts.append(_relation(cloud, one.of(number, has), has, others, most, (seed, row, number)))
    found = {name: np.stack([part[name] for part in parts]) for name in parts[0]}
    every = one.pair[has[one.pair].all(axis=1)]
    return found | {
        "n_candidates": int(has.sum()) + len(others),
        "cosine": np.where(
            np.isfinite(found["concentration"])[:, None] & np.isfinite(found["concentration"]),
            cosines(found["direction"]),
            np.nan,
        ),
        **distracted(cloud, every, one.covariate),
    }


def _relation(
    cloud: np.ndarray,
    pair: np.ndarray,
    has: np.ndarray,
    others: np.ndarray,
    most: int,
    seed: tuple[int, ...],
) -> dict[str, Any]:
    names = (
        "concentration", "concentration_low", "concentration_high", "permuted", "permuted_high",
        "consistency", "consistency_control", "consistency_high", "one_dimension",
        "one_dimension_control", "common",
    )  # fmt: skip
    empty: dict[str, Any] = dict.fromkeys(names, np.nan) | {
        "n_pairs": len(pair), "n_questions": 0, "direction": np.zeros(cloud.shape[1], "float32"),
        "accuracy": np.full((2, len(offsets.NUMBERS)), np.nan),
    }  # fmt: skip
    if len(pair) < LEAST_PAIRS or not np.ptp(cloud[pair[:, 1]] - cloud[pair[:, 0]], axis=0).any():
        return empty
    rng = np.random.default_rng(seed)
    x, y = cloud[pair[:, 0]], cloud[pair[:, 1]]
    seen = offsets.parallel(x, y, rng)
    mixed = y[offsets.derangement(len(y), rng)] - x
    words = np.flatnonzero(has)
    place = np.full(len(has), -1)
    place[words] = np.arange(len(words))
    drawn = np.sort(rng.permutation(len(pair))[:most])
    accuracy, n = offsets.analogies(
        cloud[words], np.concatenate([cloud[words], others]), place[pair[drawn]], rng
    )
    return empty | {
        "concentration": seen.concentration,
        "concentration_low": seen.low,
        "concentration_high": seen.high,
        "permuted": seen.permuted.mean(),
        "permuted_high": np.quantile(seen.permuted, 0.95),
        "consistency": seen.consistency,
        "consistency_control": seen.control.mean(),
        "consistency_high": np.quantile(seen.control, 0.95),
        "one_dimension": offsets.one_dimension(y - x),
        "one_dimension_control": offsets.one_dimension(mixed),
        "common": offsets.common(y - x),
        "accuracy": accuracy,
        "n_questions": n,
        "direction": unit((y - x).mean(axis=0)).astype("float32"),
    }


def distracted(cloud: np.ndarray, pair: np.ndarray, covariate: np.ndarray) -> dict[str, Any]:
    """r of the three leading components of all offsets with what the words look like."""
    if len(pair) < LEAST_PAIRS + 1:
        shape = (COMPONENTS, len(DISTRACTORS))
        return {"correlation": np.full(shape, np.nan), "variance": np.full(COMPONENTS, np.nan)}
    apart = cloud[pair[:, 1]] - cloud[pair[:, 0]]
    centred = apart - apart.mean(axis=0)
    scores = centred @ components(centred, COMPONENTS).T
    changed = covariate[pair[:, 1]] - covariate[pair[:, 0]]
    return {
        "correlation": offsets.correlations(scores, changed),
        "variance": (scores**2).sum(axis=0) / max(float((centred**2).sum()), 1e-300),
    }


def _result(
    one: Relations, found: dict[str, np.ndarray], seed: int, vocabulary: int
) -> RelationOffsets:
    return RelationOffsets(
        request={},
        concept=one.given.name,
        about=one.given.about,
        source=one.given.source,
        relations=one.names,
        rows=one.rows,
        words=one.words,
        dropped=one.seen.dropped,
        contexts=one.seen.contexts,
        read=one.seen.read,
        prepare=one.prepare,
        project_out=one.project_out,
        methods=offsets.METHODS,
        numbers=offsets.NUMBERS,
        distractors=DISTRACTORS,
        vocabulary=vocabulary,
        n_permuted=offsets.N_PERMUTED,
        seed=seed,
        notes=one.notes,
        pair=one.pair,
        label=one.label,
        **found,
    )
