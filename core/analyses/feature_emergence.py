"""Where and when a concept can be read: over the layers of a model and over its checkpoints."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from core.analyses.emergence_units import BY, Cell, Sides, judged, units
from core.analyses.feature_concept import (
    N_SHUFFLES,
    check_shuffles,
    check_texts,
    halves,
    said_concept,
    shuffled_labels,
)
from core.analyses.feature_pooled import POOLS
from core.analyses.given import against
from core.analyses.runs import Progress
from core.analyses.states import encoded
from core.models import checkpoints as others
from core.models import pool as models
from core.models.loaded import Loaded
from core.results.feature_emergence import FeatureEmergence
from core.spec.errors import Error
from core.spec.request import ModelRef

LEAST = 0.8


def feature_emergence(
    loaded: Loaded,
    progress: Progress,
    *,
    concept: Any = "",
    positive: Sequence[str] = (),
    negative: Sequence[str] = (),
    pairs: Sequence[Sequence[str]] = (),
    checkpoints: Sequence[str] | None = None,
    by: str = "neurons",
    pool: str = "max",
    least: float = LEAST,
    shuffles: int = N_SHUFFLES,
    seed: int = 0,
) -> FeatureEmergence:
    """Held-out AUC of the best neuron, direction or feature, in every layer of every checkpoint.

    The concept as in `direction`. After "The Birth of Knowledge: Emergent Features across Time,
    Space, and Scale in LLMs" (known to us from its abstract); the definitions are our own.
    checkpoints  names or folders, earliest first, also models of another size; None: those in the
                 model's folder; (): the model alone. The model asked stands last
    by           "neurons"; "directions": the difference of means on one half of the texts;
                 "features" of the dictionaries that each checkpoint has of its stream
    least        the AUC from which on a concept counts as there
    """
    _check(by, pool, least)
    check_shuffles(shuffles)
    meant = said_concept(concept, positive, negative, pairs)
    downs, what = against(meant)
    check_texts(meant, downs)
    texts = (*meant.positive, *downs)
    member = np.arange(len(texts)) < len(meant.positive)
    test = halves(member, meant.paired, seed)
    sides = Sides(member, test, shuffled_labels(member, meant.paired, shuffles, seed))
    refs = others.refs(loaded.folder, checkpoints)
    rows = []
    for number, ref in enumerate((*refs, None)):
        name = loaded.name if ref is None else ref.name.rpartition("/")[2]
        progress.step(number / (len(refs) + 1), f"{name}, {number + 1} of {len(refs) + 1}")
        model = loaded if ref is None else _opened(ref, loaded, progress)
        rows.append((name, _row(model, progress, texts, sides, by, pool)))
    return FeatureEmergence(
        request={},
        concept=meant.name,
        about=(f"positive texts of {meant.name}", what),
        paired=meant.paired,
        by=by,
        pool="mean" if by == "directions" and pool == "max" else pool,
        least=float(least),
        n_texts=(int(member.sum()), int((~member).sum()), int(test.sum())),
        n_shuffles=shuffles,
        checkpoints=tuple(name for name, _ in rows),
        **_laid_out([row for _, row in rows]),
    )


def _opened(ref: ModelRef, loaded: Loaded, progress: Progress) -> Loaded:
    """A checkpoint on the device and in the numbers of the model asked."""
    return models.apart(replace(ref, dtype=loaded.ref.dtype), str(loaded.device), progress)


def _check(by: str, pool: str, least: float) -> None:
    if by not in BY:
        raise Error(f"a concept is looked for by {', '.join(BY)}, not {str(by)[:20]!r}")
    if pool not in POOLS:
        raise Error(f"a text's tokens are pooled by {', '.join(POOLS)}, not {str(pool)[:20]!r}")
    if isinstance(least, bool) or not isinstance(least, int | float) or not 0.5 < least <= 1:
        raise Error(f"least must be an AUC above 0.5 and at most 1, not {str(least)[:20]}")


Row = list[tuple[str, Cell | None]]


def _row(
    loaded: Loaded, progress: Progress, texts: Sequence[str], sides: Sides, by: str, pool: str
) -> Row:
    """(dictionary, cell) of every layer of one checkpoint."""
    ids = encoded(loaded, texts)
    n_layers = len(loaded.stacks[loaded.prompt_stack].blocks)
    found: Row = [("", None)] * n_layers
    with loaded.busy():
        for layer, book, values in units(loaded, progress, ids, by, pool):
            progress.check()
            found[layer] = (book, judged(values, sides, by))
    return found


def _laid_out(rows: Sequence[Row]) -> dict[str, Any]:
    """The cells as arrays [checkpoint, layer], by field of the result."""
    shape = (len(rows), max(map(len, rows)))
    numbers = {name: np.full(shape, np.nan, "float32") for name in ("auc", "chance")}
    whole = {"unit": np.full(shape, -1, "int32")}
    whole |= {name: np.zeros(shape, "int32") for name in ("n_units", "n_beyond")}
    books = np.full(shape, "", dtype=object)
    for number, row in enumerate(rows):
        for layer, (book, cell) in enumerate(row):
            books[number, layer] = book
            for name, into in (numbers | whole).items():
                if cell is not None:
                    into[number, layer] = getattr(cell, name)
    if np.isnan(numbers["auc"]).all():
        raise Error(
            "no checkpoint has a dictionary of its stream; ask by='neurons' or by='directions', "
            "or train dictionaries first"
        )
    return {**numbers, **whole, "dictionaries": tuple(map(tuple, books.tolist()))}
