"""A question to probes with two sides: one class of a labelled set against the others."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from core.analyses import probe_splits as splits
from core.analyses.depth_given import Read, asked_set, read
from core.analyses.runs import Progress
from core.analyses.states import states
from core.labelled import asked
from core.models.loaded import Loaded
from core.spec.errors import Error
from core.spec.labelled import LabelledSet, remarks, short, together


@dataclass(frozen=True)
class Sides:
    """A labelled set as two sides, and how a model reads it.

    label [text] 1 for the positive class; group [text]; fold [text] the one it is held out in
    """

    given: LabelledSet
    read: Read
    positive: str
    negative: str
    label: np.ndarray
    group: np.ndarray
    fold: np.ndarray
    notes: tuple[str, ...]

    @property
    def n_folds(self) -> int:
        return int(self.fold.max()) + 1

    def facts(self) -> dict[str, Any]:
        """What a result says of the texts it is about, by the names of its fields."""
        return {
            "concept": self.given.name,
            "about": self.given.about,
            "source": self.given.source,
            "positive": self.positive,
            "negative": self.negative,
            "position": self.read.asked,
            "grouped": bool(self.given.groups),
            "n_texts": len(self.label),
            "n_positive": int(self.label.sum()),
            "n_groups": len(np.unique(self.group)),
            "n_folds": self.n_folds,
        }


def sides(
    loaded: Loaded,
    *,
    labelled: Any = "",
    concept: Any = "",
    texts: Sequence[str] = (),
    labels: Sequence[Any] = (),
    groups: Sequence[Any] | None = None,
    words: Sequence[str] | str = (),
    positive: str = "",
    position: str = "",
    too_long: str = "cut",
    folds: int = 5,
    seed: int = 0,
) -> Sides:
    """The texts asked about; copies of a text, and groups where they are given, stay together.

    positive  the class that counts, against all others; "" is the last one
    position  "" is where the set is meant to be read
    """
    named = asked(labelled) if labelled else labelled
    given = asked_set(named, concept, texts, labels, groups, words)
    where = position or given.position
    if where != "word":
        given = replace(given, words=())
    name = positive or given.classes[-1]
    if name not in given.classes:
        raise Error(f"no class {short(name)} in {given.name}; it has {', '.join(given.classes)}")
    label = (np.array(given.labels) == given.classes.index(name)).astype(np.int64)
    others = [one for one in given.classes if one != name]
    against = others[0] if len(others) == 1 else "all others"
    group = np.array(together(given))
    fold = splits.folds(label, group, folds, seed, (against, name))
    seen = read(loaded, given, where, too_long)
    notes = [*seen.notes, *remarks(replace(given, labels=label.tolist(), classes=(against, name)))]
    if len(others) > 1:
        notes.append(f"{given.name} has {len(given.classes)} classes; {name} stands for itself")
    if int(fold.max()) + 1 < folds:
        notes.append(f"{fold.max() + 1} groups make as many folds, not {folds}")
    return Sides(given, seen, name, against, label, group, fold, tuple(notes))


def vectors(
    loaded: Loaded, progress: Progress, one: Sides, share: tuple[float, float], note: str
) -> torch.Tensor:
    """States [layer, text, d_model] at the position, the embedding as row 0."""
    seen = states(
        loaded,
        progress,
        one.read.ids,
        positions=(one.read.position,),
        embedding=True,
        share=share,
        note=note,
    )
    return seen.vectors[0]


def stream_names(loaded: Loaded) -> tuple[str, ...]:
    """The site text of each row of `vectors`."""
    stack = f"{loaded.prompt_stack}." if loaded.prompt_stack else ""
    n = len(loaded.stacks[loaded.prompt_stack].blocks)
    return (f"{stack}L0.resid_pre", *(f"{stack}L{layer}.resid_post" for layer in range(n)))
