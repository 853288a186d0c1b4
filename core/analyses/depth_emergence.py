"""Checkpoint by layer by size: probes of one labelled set in every checkpoint of several models."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from core.analyses import probe_cells as cells
from core.analyses.depth_floors import floors
from core.analyses.probe_asked import Sides, sides, vectors
from core.analyses.runs import Progress
from core.labelled import asked as asked_labelled
from core.models import checkpoints as others
from core.models import pool as models
from core.models.loaded import Loaded
from core.results.depth_emergence import DepthEmergence
from core.spec.errors import Error
from core.spec.request import ModelRef

SHUFFLES = 20


def depth_emergence(
    loaded: Loaded,
    progress: Progress,
    *,
    labelled: Any = "",
    concept: Any = "",
    texts: Sequence[str] = (),
    labels: Sequence[Any] = (),
    groups: Sequence[Any] | None = None,
    words: Sequence[str] | str = (),
    positive: str = "",
    position: str = "",
    checkpoints: Sequence[str] | None = None,
    sizes: Sequence[str] = (),
    folds: int = 5,
    shuffles: int = SHUFFLES,
    seed: int = 0,
    too_long: str = "cut",
) -> DepthEmergence:
    """Held-out AUC of a ridge probe behind every layer of every checkpoint, on the same folds.

    labelled, concept, ... position  as in `probe_family`
    checkpoints  names or folders, earliest first; None: those in the model's folder; (): none
    sizes        further models by name or folder, each with the checkpoints in its own folder

    Layers, checkpoints and sizes after "The Birth of Knowledge: Emergent Features across Time,
    Space, and Scale in LLMs" (known to us from its abstract); thresholds and controls are ours.
    """
    own = others.refs(loaded.folder, checkpoints)
    further = others.refs(loaded.folder, sizes) if len(sizes) else []
    asked = _Asked(
        {
            "labelled": asked_labelled(labelled) if labelled else labelled,
            "concept": concept, "texts": texts, "labels": labels, "groups": groups, "words": words,
            "positive": positive, "position": position, "too_long": too_long, "folds": folds,
            "seed": seed,
        },
        shuffles, seed,
    )  # fmt: skip
    rows: list[_Row] = []
    plan: list[tuple[int, ModelRef | None]] = [(0, ref) for ref in own] + [(0, None)]
    plan += [
        (number, each)
        for number, ref in enumerate(further, start=1)
        for each in (*others.beside_ref(ref), ref)
    ]
    if len(plan) > others.MOST:
        raise Error(
            f"{len(plan):,} checkpoints in all; at most {others.MOST} are read, so name fewer in "
            "checkpoints= or sizes="
        )
    for place, (number, ref) in enumerate(plan):
        share = (place / len(plan), (place + 1) / len(plan))
        progress.step(share[0], f"opening {place + 1} of {len(plan)}")
        model = loaded if ref is None else _opened(ref, loaded, progress)
        rows.append(_row(model, progress, asked, number, share))
    return _result(rows, asked)


def _opened(ref: ModelRef, loaded: Loaded, progress: Progress) -> Loaded:
    """A checkpoint on the device and in the numbers of the model asked."""
    return models.apart(replace(ref, dtype=loaded.ref.dtype), str(loaded.device), progress)


@dataclass
class _Asked:
    """The options of `sides`, and what all rows have in common."""

    options: dict[str, Any]
    shuffles: int
    seed: int


@dataclass(frozen=True)
class _Row:
    """One checkpoint: reads [layer], floor AUC, and how it read the texts."""

    name: str
    model: int
    parameters: int
    reads: list[cells.Read]
    floor: float
    sides: Sides


def _row(
    loaded: Loaded, progress: Progress, asked: _Asked, number: int, share: tuple[float, float]
) -> _Row:
    one = sides(loaded, **asked.options)
    middle = share[0] + 0.4 * (share[1] - share[0])
    name = loaded.name.rpartition("/")[2]
    with loaded.busy():
        states = vectors(loaded, progress, one, (share[0], middle), f"{name}: reading the texts")
    case = cells.case(one.label, one.group, one.fold, asked.shuffles, asked.seed)
    drawn = cells.draws(case, asked.seed)
    reads = []
    for layer, x in enumerate(states):
        step = middle + (share[1] - middle) * layer / len(states)
        progress.step(step, f"{name}: probes of layer {layer}")
        reads.append(cells.read(x, case, drawn))
    _, alone = floors(one.given.texts, one.read.types, one.label, one.fold, 2)
    size = sum(each.numel() for each in loaded.module.parameters())
    return _Row(name, number, size, reads, max(0.5, float(np.nanmax(alone))), one)


def _result(rows: Sequence[_Row], asked: _Asked) -> DepthEmergence:
    one = rows[-1].sides
    shape = (len(rows), max(len(row.reads) for row in rows))
    found = {name: np.full(shape, np.nan) for name in ("auc", "low", "high", "accuracy")}
    control = np.full((asked.shuffles, *shape), np.nan)
    for number, row in enumerate(rows):
        for layer, each in enumerate(row.reads):
            for name, into in found.items():
                into[number, layer] = getattr(each, name)
            control[:, number, layer] = each.control
    last = {row.model: row for row in rows}  # the model itself stands behind its checkpoints
    notes = tuple(dict.fromkeys(note for row in rows for note in row.sides.notes))
    return DepthEmergence(
        request={},
        concept=one.given.name,
        about=one.given.about,
        source=one.given.source,
        positive=one.positive,
        negative=one.negative,
        seed=asked.seed,
        grouped=bool(one.given.groups),
        n_texts=len(one.label),
        n_groups=len(np.unique(one.group)),
        n_folds=one.n_folds,
        n_shuffles=asked.shuffles,
        models=tuple(_distinct([row.name for row in last.values()])),
        parameters=tuple(row.parameters for row in last.values()),
        checkpoints=tuple(row.name for row in rows),
        notes=notes,
        model=np.array([row.model for row in rows]),
        n_layers=np.array([len(row.reads) - 1 for row in rows]),
        auc=found["auc"],
        auc_low=found["low"],
        auc_high=found["high"],
        accuracy=found["accuracy"],
        control_auc=control,
        floor_auc=np.array([row.floor for row in rows]),
    )


def _distinct(names: Sequence[str]) -> list[str]:
    """Names, numbered where two are the same."""
    return [
        f"{name} ({number})" if names.count(name) > 1 else name
        for number, name in enumerate(names, start=1)
    ]
