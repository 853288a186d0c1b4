"""Two pairs of a relation: is a to b what c is to d, at every depth?"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from core.analyses import offsets
from core.analyses.clouds import unit
from core.analyses.relation_words import LEAST_PAIRS, Relations, relation_words
from core.analyses.runs import Progress
from core.concept_sets import asked
from core.models.loaded import Loaded
from core.results.parallelogram import Parallelogram
from core.spec.concept_set import short
from core.spec.errors import Error

MOST_PAIRS = 400


def parallelogram(
    loaded: Loaded,
    progress: Progress,
    *,
    concepts: Any = "",
    relation: str = "",
    pairs: Sequence[str] = (),
    contexts: Sequence[str] = (),
    read: str = "last",
    prepare: str = "centre",
    project_out: Sequence[str] = (),
    seed: int = 0,
) -> Parallelogram:
    """How well two pairs of a relation close to a parallelogram, beside wrong fourth words.

    relation  a group of the set; "" for the first
    pairs     the first words of the two pairs; () for the first two
    """
    given = asked(concepts)
    name = relation or given.groups[0].name
    one = relation_words(
        loaded, progress, given, contexts=contexts, read=read, prepare=prepare,
        project_out=project_out, only=(name,), most_pairs=0, seed=seed, share=(0.0, 0.9),
    )  # fmt: skip
    if len(one.pair) > MOST_PAIRS:
        raise Error(f"{short(name)} has {len(one.pair)} pairs; at most {MOST_PAIRS} are drawn")
    chosen = _chosen(one, pairs)
    rows = [_row(one, row, chosen) for row in range(len(one.rows))]
    found = {key: np.stack([row[key] for row in rows]) for key in rows[0]}
    first, second = ([one.words[at] for at in side] for side in one.pair.T)
    return Parallelogram(
        request={},
        concept=one.given.name,
        relation=name,
        rows=one.rows,
        words=(first[chosen[0]], second[chosen[0]], first[chosen[1]], second[chosen[1]]),
        chosen=chosen,
        first=tuple(first),
        second=tuple(second),
        dropped=one.seen.dropped,
        contexts=one.seen.contexts,
        read=one.seen.read,
        prepare=one.prepare,
        project_out=one.project_out,
        notes=one.notes,
        n_wrong=len(_wrong(one, chosen)),
        **found,
    )


def _chosen(one: Relations, pairs: Sequence[str]) -> tuple[int, int]:
    pairs = tuple(pairs)
    if not pairs:
        return 0, 1
    if len(pairs) != 2 or pairs[0] == pairs[1]:
        raise Error("pairs= takes the first words of two different pairs")
    first = [one.words[at] for at in one.pair[:, 0]]
    for word in pairs:
        if word not in first:
            some = ", ".join(first[:6])
            raise Error(f"no pair of {short(one.names[0])} begins with {short(word)}; {some} do")
    return first.index(pairs[0]), first.index(pairs[1])


def _wrong(one: Relations, chosen: tuple[int, int]) -> list[int]:
    """Pairs whose second word is neither of the two."""
    taken = one.pair[list(chosen), 1]
    return [pair for pair, word in enumerate(one.pair[:, 1]) if word not in taken]


def _row(one: Relations, row: int, chosen: tuple[int, int]) -> dict[str, Any]:
    cloud, has = one.vectors(row)
    x, y = cloud[one.pair[:, 0]], cloud[one.pair[:, 1]]
    fit = has[one.pair].all(axis=1)
    i, j = chosen
    blank = np.full((len(x), 2), np.nan)
    if not fit[[i, j]].all() or fit.sum() < LEAST_PAIRS:
        names = ("cosine", "gap", "control_cosine", "control_high", "control_gap", "control_low",
                 "inside")  # fmt: skip
        return dict.fromkeys(names, np.nan) | {"x": blank, "y": blank}
    cosine, gap = offsets.parallelogram(x[i], y[i], x[j], y[j])
    wrong = [k for k in _wrong(one, chosen) if fit[k]]
    other = np.array([offsets.parallelogram(x[i], y[i], x[j], y[k]) for k in wrong])
    other = other if len(other) else np.full((1, 2), np.nan)
    plane = _plane((y - x)[fit].mean(axis=0), x[j] - x[i])
    four = np.stack([x[i], y[i], x[j], y[j]])
    middle = four.mean(axis=0)
    spread = max(float(((four - middle) ** 2).sum()), offsets.TINY)
    shown = [np.where(fit[:, None], (side - middle) @ plane.T, np.nan) for side in (x, y)]
    return {
        "cosine": cosine,
        "gap": gap,
        "control_cosine": other[:, 0].mean(),
        "control_high": np.quantile(other[:, 0], 0.95),
        "control_gap": other[:, 1].mean(),
        "control_low": np.quantile(other[:, 1], 0.05),
        "x": shown[0],
        "y": shown[1],
        "inside": (((four - middle) @ plane.T) ** 2).sum() / spread,
    }


def _plane(up: np.ndarray, across: np.ndarray) -> np.ndarray:
    """[2, d] across (made orthogonal) and up, both of length 1."""
    up = unit(up)
    return np.stack([unit(across - (across @ up) * up), up])
