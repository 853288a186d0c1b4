"""What a layer offers as detectors of a concept, and how well the best one does, held out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.analyses.feature_concept import many_aucs
from core.analyses.feature_pooled import kept_tokens, pooled, rows_of
from core.analyses.runs import TOKENS_AT_ONCE, Progress
from core.analyses.scores import auc, aucs
from core.analyses.states import STATES_AT_ONCE
from core.dictionaries.sparse import SparseDict
from core.engine.forward import run
from core.engine.rows import rows
from core.models.loaded import Loaded
from core.spec.errors import Error
from core.spec.site import Component, Site

BY = ("neurons", "directions", "features")
QUANTILE = 0.95


@dataclass(frozen=True)
class Sides:
    """member [text] bool, test [text] bool, shuffled [shuffle, text] bool."""

    member: np.ndarray
    test: np.ndarray
    shuffled: np.ndarray


@dataclass(frozen=True)
class Cell:
    """One layer of one checkpoint; see `core.results.feature_emergence`."""

    auc: float
    chance: float
    unit: int
    n_units: int
    n_beyond: int


def units(
    loaded: Loaded, progress: Progress, ids: Sequence[Sequence[int]], by: str, pool: str
) -> Iterator[tuple[int, str, np.ndarray]]:
    """(layer, dictionary or "", values [text, unit]) of every layer that has such units.

    Neurons and features by `pool` over a text's tokens; for directions the mean of the stream
    over them (of a pool "last": the last token's).
    """
    if by == "features":
        for layer, found in books(loaded).items():
            read = pooled(loaded, progress, found, ids, pool)
            firing = np.flatnonzero(np.diff(read.features.indptr))
            values = np.zeros((len(ids), found.n_features), "float32")
            values[:, firing] = read.features[:, firing].toarray()
            yield layer, found.name, values
        return
    component: Component = "neuron" if by == "neurons" else "resid_post"
    stack = loaded.prompt_stack
    places = [
        Site(layer, component, stack=stack)
        for layer, block in enumerate(loaded.stacks[stack].blocks)
        if by == "directions" or block.neurons is not None
    ]
    if not places:
        raise Error(f"{loaded.name} has no neurons to read; ask by='directions'")
    for layer, values in enumerate(_values(loaded, progress, ids, places, by, pool)):
        yield places[layer].layer, "", values


def books(loaded: Loaded) -> dict[int, SparseDict]:
    """The model's dictionaries of its stream, the first of each layer."""
    found: dict[int, SparseDict] = {}
    for name in loaded.dictionaries:
        book = loaded.dictionaries[name]
        fits = book.site.component == "resid_post" and book.site.stack == loaded.prompt_stack
        if fits and not book.transcoder:
            found.setdefault(book.site.layer, book)
    return dict(sorted(found.items()))


def _values(
    loaded: Loaded,
    progress: Progress,
    ids: Sequence[Sequence[int]],
    places: Sequence[Site],
    by: str,
    pool: str,
) -> list[np.ndarray]:
    """[text, width] of every place in one pass, texts of like length together."""
    how = "mean" if by == "directions" or pool != "max" else "max"
    width = loaded.width(places[0])
    found = [np.zeros((len(ids), width), "float32") for _ in places]
    room = max(1, min(TOKENS_AT_ONCE, STATES_AT_ONCE // (len(places) * width)))
    order = sorted(range(len(ids)), key=lambda number: len(ids[number]))
    longest = max(map(len, ids))
    size = max(1, room // longest)
    for start in range(0, len(order), size):
        progress.check()
        batch = order[start : start + size]
        texts = [ids[number] for number in batch]
        seen = run(loaded, rows(loaded, texts), read=places, logits="none", check=progress.check)
        keep = [torch.tensor(kept_tokens(loaded, text, pool)) for text in texts]
        counts = torch.tensor([int(each.sum()) for each in keep])
        of = torch.repeat_interleave(torch.arange(len(batch)), counts)
        for place, into in zip(places, found, strict=True):
            values = seen.values[place].float()
            tokens = torch.cat([_of(row, each) for row, each in zip(values, keep, strict=True)])
            into[batch] = rows_of(tokens.cpu(), of, counts, how)
    return found


def _of(row: Tensor, keep: Tensor) -> Tensor:
    return row[: len(keep)][keep.to(row.device)]


def judged(values: np.ndarray, sides: Sides, by: str) -> Cell:
    """The best unit (or the direction between the means) of a layer, held out, beside shuffles."""
    if by == "directions":
        return _direction(values, sides)
    train, test, member = ~sides.test, sides.test, sides.member
    learned = aucs(values[train], member[train]) - 0.5
    best = int(np.abs(learned).argmax())
    held = auc(_turned(values[test, best], learned[best]), member[test])
    own = many_aucs(values[train], sides.shuffled[:, train]) - 0.5  # [shuffle, unit]
    chosen = np.abs(own).argmax(axis=1)
    null = [
        auc(_turned(values[test, unit], own[number, unit]), labels[test])
        for number, (unit, labels) in enumerate(zip(chosen, sides.shuffled, strict=True))
    ]
    whole = np.abs(aucs(values, member) - 0.5)
    largest = np.abs(many_aucs(values, sides.shuffled) - 0.5).max(axis=1)
    return Cell(
        held,
        float(np.quantile(null, QUANTILE)),
        best,
        values.shape[1],
        int((whole > np.quantile(largest, QUANTILE)).sum()),
    )


def _turned(values: np.ndarray, sign: Any) -> np.ndarray:
    """Turned round where less means positive."""
    return values if sign >= 0 else -values


def _direction(values: np.ndarray, sides: Sides) -> Cell:
    train, test = ~sides.test, sides.test
    labels = np.concatenate([sides.member[None], sides.shuffled])
    weight = labels[:, train] / labels[:, train].sum(axis=1, keepdims=True)
    weight = weight - ~labels[:, train] / (~labels[:, train]).sum(axis=1, keepdims=True)
    scores = (weight @ values[train].astype(float)) @ values[test].astype(float).T
    found = np.array([auc(score, own[test]) for score, own in zip(scores, labels, strict=True)])
    chance = float(np.quantile(found[1:], QUANTILE))
    return Cell(float(found[0]), chance, -1, 1, int(found[0] > chance))
