"""Crystals: the offsets of many relations together, before and after distractors are removed.

Li et al. 2024, "The Geometry of Concepts: Sparse Autoencoder Feature Structure", its atom scale;
discriminants held out here, since in sample they separate anything.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from core.analyses import lda
from core.analyses.clouds import components, silhouette
from core.analyses.relation_words import DISTRACTORS, Relations, relation_words
from core.analyses.relations import COMPONENTS, distracted
from core.analyses.runs import Progress
from core.models.loaded import Loaded
from core.results.crystals import Crystals
from core.spec.concept_set import short
from core.spec.errors import Error

LEAST = 6  # pairs of a relation
MOST_PAIRS = 100
MOST_DISCRIMINANTS = 11
N_SPLITS, N_PERMUTED = 4, 20


def crystals(
    loaded: Loaded,
    progress: Progress,
    *,
    concepts: Any = "",
    only: Sequence[str] = (),
    contexts: Sequence[str] = (),
    read: str = "last",
    prepare: str = "centre",
    project_out: Sequence[str] = (),
    seed: int = 0,
) -> Crystals:
    """Do the offsets of each relation lie together, raw and by discriminants of the other half?

    concepts     a set of pairs of at least three relations with six pairs each
    project_out  of "pieces", "characters", "frequency", "capital": taken out first
    """
    one = relation_words(
        loaded, progress, concepts, contexts=contexts, read=read, prepare=prepare,
        project_out=project_out, only=only, most_pairs=MOST_PAIRS, seed=seed,
    )  # fmt: skip
    enough = _enough(one)
    kept = np.isin(one.label, enough)
    pair, label = one.pair[kept], np.searchsorted(enough, one.label[kept])
    train = lda.halves(label, np.random.default_rng((seed, 0)))
    count = min(MOST_DISCRIMINANTS, len(enough) - 1) - 1
    rows = []
    for row in range(len(one.rows)):
        progress.step(0.5 + 0.5 * row / len(one.rows), f"discriminants, {one.rows[row]}")
        rows.append(_row(one, row, (pair, label, train), count, seed, progress))
    found = {name: np.stack([part[name] for part in rows]) for name in rows[0]}
    return Crystals(
        request={},
        concept=one.given.name,
        relations=tuple(one.names[at] for at in enough),
        rows=one.rows,
        first=tuple(one.words[at] for at in pair[:, 0]),
        second=tuple(one.words[at] for at in pair[:, 1]),
        dropped=one.seen.dropped,
        contexts=one.seen.contexts,
        read=one.seen.read,
        prepare=one.prepare,
        project_out=one.project_out,
        distractors=DISTRACTORS,
        n_splits=N_SPLITS,
        n_permuted=N_PERMUTED,
        seed=seed,
        notes=one.notes,
        label=label,
        held=~train,
        n_discriminants=np.arange(2, count + 2),
        **found,
    )


def _enough(one: Relations) -> np.ndarray:
    """Numbers of the relations with enough pairs. Raises `Error` for fewer than three."""
    found = np.flatnonzero(np.bincount(one.label, minlength=len(one.names)) >= LEAST)
    if len(found) < 3:
        raise Error(
            f"{short(one.given.name)} has {len(found)} relations of {LEAST} pairs that can be "
            "read; three are needed"
        )
    return found


def _row(
    one: Relations,
    row: int,
    given: tuple[np.ndarray, np.ndarray, np.ndarray],
    count: int,
    seed: int,
    progress: Progress,
) -> dict[str, Any]:
    (pair, label, train), (cloud, has) = given, one.vectors(row)
    fit = has[pair].all(axis=1)
    # A relation that loses words at this depth is left out of it.
    fit &= (np.bincount(label[fit], minlength=label.max() + 1) >= LEAST)[label]
    curves = ("train", "held_out", "train_control", "control", "control_high")
    blank: dict[str, Any] = {name: np.full(count, np.nan) for name in curves}
    blank |= {"raw": np.nan, "raw_control": np.nan, "n_pairs": int(fit.sum())}
    blank |= {name: np.full((len(pair), 2), np.nan) for name in ("place", "discriminant")}
    blank |= {
        "correlation": np.full((COMPONENTS, len(DISTRACTORS)), np.nan),
        "variance": np.full(COMPONENTS, np.nan),
    }
    if len(np.unique(label[fit])) < 3:
        return blank
    apart = (cloud[pair[:, 1]] - cloud[pair[:, 0]])[fit]
    found = blank | separated(apart, label[fit], count, seed, progress)
    spread = apart.std(axis=0)
    scaled = (apart - apart.mean(axis=0)) / np.where(spread > 0, spread, np.inf)
    found["place"][fit] = scaled @ components(scaled, 2).T
    drawn = lda.discriminants(apart[train[fit]], label[fit][train[fit]], 2)
    found["discriminant"][fit] = drawn.of(apart)
    return found | distracted(cloud, pair[fit], one.covariate)


def separated(
    apart: np.ndarray, label: np.ndarray, count: int, seed: int, progress: Progress
) -> dict[str, Any]:
    """Silhouettes of offsets [pair, d], raw and by discriminants, and relations dealt out anew."""
    rng = np.random.default_rng((seed, 1))
    own, chance = [], []
    for _ in range(N_SPLITS):
        half = lda.halves(label, rng)
        own += [lda.judged(apart, label, side, count + 1) for side in (half, ~half)]
    for _ in range(N_PERMUTED):
        progress.check()
        mixed = rng.permutation(label)
        chance.append(lda.judged(apart, mixed, lda.halves(mixed, rng), count + 1))
    seen, null = (
        np.stack([[_filled(side, count) for side in pair] for pair in each])
        for each in (own, chance)
    )  # [split, side, count]
    spread = apart.std(axis=0)
    scaled = apart / np.where(spread > 0, spread, np.inf)
    return {
        "raw": silhouette(scaled, label),
        "raw_control": np.mean([silhouette(scaled, rng.permutation(label)) for _ in range(5)]),
        "train": seen[:, 0].mean(axis=0),
        "held_out": seen[:, 1].mean(axis=0),
        "train_control": null[:, 0].mean(axis=0),
        "control": null[:, 1].mean(axis=0),
        "control_high": np.quantile(null[:, 1], 0.95, axis=0),
    }


def _filled(curve: np.ndarray, count: int) -> np.ndarray:
    """A curve of `count` values, NaN where there are fewer classes at this depth."""
    return np.concatenate([curve[:count], np.full(max(0, count - len(curve)), np.nan)])
