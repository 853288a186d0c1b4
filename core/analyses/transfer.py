"""Does a direction mean the concept or the data set? Probes learned here and read there."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.analyses import probe_scores as scores
from core.analyses import probe_splits as splits
from core.analyses.probe_asked import Sides, sides, stream_names, vectors
from core.analyses.probe_trained import METHODS, Trained, trained, unit
from core.analyses.runs import Progress
from core.labelled import TOPICS
from core.models.loaded import Loaded
from core.results.transfer import Transfer
from core.spec.errors import Error

SHUFFLES, LAYER_SHUFFLES = 20, 5
MOST = 16  # sets; every pair of them is a cell of the matrix


def transfer(
    loaded: Loaded,
    progress: Progress,
    *,
    sets: Sequence[Any],
    method: str = "lda",
    C: float = 1.0,
    position: str = "",
    folds: int = 5,
    seed: int = 0,
    too_long: str = "cut",
) -> Transfer:
    """Train on one labelled set, test on every other, at every layer; and layer against layer.

    sets      two or more: built-in names, paths of tables, or sets' fields; of three or more
              classes the last one stands against the others
    method    "lda", "logistic" (penalty 1 / C), "difference" of means, "pca"
    position  one for all sets, or "" for where each is meant to be read

    After Marks and Tegmark 2023, "The Geometry of Truth". Every set is centred by its own mean,
    which moves no AUC; the accuracy without it stands beside.
    """
    if method not in METHODS:
        raise Error(f"no probe {method[:40]!r}; there are {', '.join(METHODS)}")
    if isinstance(sets, str) or not 2 <= len(sets) <= MOST:
        raise Error(f"sets= is a list of two to {MOST} labelled sets")
    found = [
        sides(loaded, labelled=one, position=position, too_long=too_long, folds=folds, seed=seed)
        for one in sets
    ]
    names = [one.given.name for one in found]
    if len(set(names)) < len(names):
        raise Error("two of the sets have the same name; every set is asked once")
    found.sort(key=_place)
    states = [
        vectors(
            loaded,
            progress,
            one,
            (0.5 * number / len(found), 0.5 * (number + 1) / len(found)),
            f"reading {one.given.name}",
        )
        for number, one in enumerate(found)
    ]
    tasks = [Task(one.label, one.group, one.fold) for one in found]
    arrays = measured(states, tasks, method, C, seed, progress)
    return _result(loaded, found, method, C, seed, arrays)


def _place(one: Sides) -> tuple[int, str]:
    """Topics in their usual order, the others behind."""
    topic = one.given.topic
    return (TOPICS.index(topic) if topic in TOPICS else len(TOPICS), topic)


@dataclass(frozen=True)
class Task:
    """label [item] 0 or 1, group [item], fold [item] in which an item is held out."""

    label: np.ndarray
    group: np.ndarray
    fold: np.ndarray

    def shuffled(self, n: int, seed: int) -> np.ndarray:
        """The labels, then n shuffles of them, [item, 1 + n]."""
        rng = np.random.default_rng((seed, 4))
        mixed = splits.shuffled(self.label, self.fold, self.group, n, rng)
        return np.concatenate([self.label[:, None], mixed], axis=1)


@dataclass(frozen=True)
class _Probes:
    """Probes of one set at one layer: whole on all its texts, held one a fold; weights [d, set]
    and [d, set, fold], sets: the real labels, then shuffles. middle [d] was taken off first."""

    whole: Trained
    held: Tensor
    held_bias: Tensor
    middle: Tensor


def measured(
    states: Sequence[Tensor], tasks: Sequence[Task], method: str, c: float, seed: int,
    progress: Progress,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Every array of the result. states: for each set [layer, item, d]."""
    draws = [
        scores.draws(task.group, np.random.default_rng((seed, 5, number)))
        for number, task in enumerate(tasks)
    ]
    n_layers, rows, kept = len(states[0]), [], []
    for layer in range(n_layers):
        progress.step(0.5 + 0.4 * layer / n_layers, f"probes of layer {layer}")
        here = [each[layer].double() for each in states]
        probes = [
            _probes(x, task, method, c, seed, progress) for x, task in zip(here, tasks, strict=True)
        ]
        rows.append(_layer(here, tasks, probes, draws, method, c, progress))
        kept.append([one.held[:, : 1 + LAYER_SHUFFLES] for one in probes])
    found = {name: np.stack([row[name] for row in rows], axis=-1) for name in rows[0]}
    found["cosine"] = np.moveaxis(found["cosine"], -1, 0)
    progress.step(0.9, "layer against layer")
    each = [
        _across(states[number], task, [row[number] for row in kept], progress)
        for number, task in enumerate(tasks)
    ]
    across = np.stack(each)  # [set, 1 + shuffle, train layer, test layer]
    found["layer_auc"] = across[:, 0]
    found["control_layer_auc"] = across[:, 1:].transpose(1, 0, 2, 3)
    return found


def _probes(x: Tensor, task: Task, method: str, c: float, seed: int, progress: Progress) -> _Probes:
    n_folds = int(task.fold.max()) + 1
    labels = task.shuffled(SHUFFLES, seed)
    held = task.fold[:, None] == np.arange(n_folds + 1)
    middle = x.mean(dim=0)
    fits = trained(
        x - middle,
        np.repeat(labels, n_folds + 1, axis=1),
        np.tile(~held, (1, labels.shape[1])),
        method,
        c,
        check=progress.check,
    )
    weight = fits.weight.reshape(len(middle), labels.shape[1], n_folds + 1)
    bias = fits.bias.reshape(labels.shape[1], n_folds + 1)
    whole = Trained(weight[..., -1], bias[:, -1])
    return _Probes(whole, weight[..., :-1], bias[:, :-1], middle)


def _layer(
    here: Sequence[Tensor],
    tasks: Sequence[Task],
    probes: Sequence[_Probes],
    draws: Sequence[np.ndarray],
    method: str,
    c: float,
    progress: Progress,
) -> dict[str, np.ndarray]:
    """Every pair of sets at one layer; train axis first."""
    rows = []
    for number, one in enumerate(probes):
        row = []
        for other, (x, task) in enumerate(zip(here, tasks, strict=True)):
            progress.check()
            own = number == other
            margin = (
                _held(x - one.middle, task, one)
                if own
                else one.whole.margin(x - probes[other].middle)
            )
            plain = margin if own else one.whole.margin(x - one.middle)
            row.append(_cell(margin.numpy(), plain.numpy(), task, draws[other], held=own))
        rows.append({name: np.stack([each[name] for each in row]) for name in row[0]})
    found = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    found["control_auc"] = np.moveaxis(found["control_auc"], -1, 0)
    directions = torch.stack([unit(one.whole.weight[:, :1])[:, 0] for one in probes])
    found["cosine"] = (directions @ directions.T).numpy()
    found["others_auc"] = _others(here, tasks, probes, method, c)
    return found


def _held(x: Tensor, task: Task, one: _Probes) -> Tensor:
    """[item, set]: every item by the probe of its fold."""
    found = torch.zeros(len(x), one.held.shape[1], dtype=x.dtype)
    for fold in range(one.held.shape[2]):
        items = torch.from_numpy(np.flatnonzero(task.fold == fold))
        found[items] = x[items] @ one.held[..., fold] + one.held_bias[:, fold]
    return found


def _cell(
    margin: np.ndarray, plain: np.ndarray, task: Task, drawn: np.ndarray, *, held: bool
) -> dict[str, np.ndarray]:
    """AUC with interval, accuracies and the shuffles' AUCs of margins [item, set]."""
    fold = task.fold if held else np.zeros_like(task.fold)
    aucs = np.array([_auc(values, task.label, fold) for values in margin.T])
    spread = scores.auc_draws(margin[:, :1], task.label, fold, drawn)
    low, high = np.quantile(spread, (0.025, 0.975))
    once = np.ones((1, len(margin)))
    right = np.stack([(each[:, 0] > 0) == task.label for each in (margin, plain)]).astype(float)
    accuracy, accuracy_plain = scores.fold_means(right, fold, once)[:, 0]
    return {
        "auc": aucs[0],
        "auc_low": low,
        "auc_high": high,
        "accuracy": accuracy,
        "accuracy_plain": accuracy_plain,
        "control_auc": aucs[1:],
    }


def _auc(values: np.ndarray, label: np.ndarray, fold: np.ndarray) -> float:
    return float(np.nanmean(scores.auc(values[:, None], label, fold)))


def _others(
    here: Sequence[Tensor], tasks: Sequence[Task], probes: Sequence[_Probes], method: str, c: float
) -> np.ndarray:
    """AUC on each set of a probe learned from all others together, each centred, [test]."""
    flat = [x - one.middle for x, one in zip(here, probes, strict=True)]
    found = []
    for number, task in enumerate(tasks):
        rest = [other for other in range(len(tasks)) if other != number]
        x = torch.cat([flat[other] for other in rest])
        label = np.concatenate([tasks[other].label for other in rest])
        fits = trained(x, label[:, None], np.ones((len(label), 1), bool), method, c)
        margin = fits.margin(flat[number])[:, 0].numpy()
        found.append(_auc(margin, task.label, np.zeros_like(task.fold)))
    return np.array(found)


def _across(
    states: Tensor, task: Task, weights: Sequence[Tensor], progress: Progress
) -> np.ndarray:
    """Held-out AUC [1 + shuffle, train layer, test layer]; weights [d, set, fold] by layer.

    Shuffled probes are asked for the real labels, like everywhere here.
    """
    n_layers, n_sets = len(states), weights[0].shape[1]
    found = np.zeros((n_sets, n_layers, n_layers))
    every = torch.stack(list(weights))  # [train layer, d, set, fold]
    for there in range(n_layers):
        progress.check()
        x = states[there].double()
        margin = torch.zeros(len(x), n_layers, n_sets, dtype=x.dtype)
        for fold in range(every.shape[-1]):
            items = torch.from_numpy(np.flatnonzero(task.fold == fold))
            margin[items] = torch.einsum("nd,lds->nls", x[items], every[..., fold])
        for one in range(n_sets):
            for here in range(n_layers):
                found[one, here, there] = _auc(margin[:, here, one].numpy(), task.label, task.fold)
    return found


def _result(
    loaded: Loaded,
    found: Sequence[Sides],
    method: str,
    c: float,
    seed: int,
    arrays: dict[str, np.ndarray],
) -> Transfer:
    notes = [f"{one.given.name}: {note}" for one in found for note in one.notes]
    return Transfer(
        request={},
        sets=tuple(one.given.name for one in found),
        topics=tuple(one.given.topic for one in found),
        positives=tuple(one.positive for one in found),
        negatives=tuple(one.negative for one in found),
        positions=tuple(one.read.asked for one in found),
        n_texts=tuple(len(one.label) for one in found),
        n_groups=tuple(len(np.unique(one.group)) for one in found),
        method=method,
        c=c,
        seed=seed,
        n_shuffles=SHUFFLES,
        n_layer_shuffles=LAYER_SHUFFLES,
        sites=stream_names(loaded),
        notes=tuple(notes + _shared(found)),
        **{name: np.ascontiguousarray(values, "float32") for name, values in arrays.items()},
    )


def _shared(found: Sequence[Sides]) -> list[str]:
    """Texts that stand in two sets: there the probe is asked what it was told."""
    notes = []
    for number, one in enumerate(found):
        for other in found[number + 1 :]:
            both = len(set(one.given.texts) & set(other.given.texts))
            if both:
                words = f"{both:,} text{' stands' if both == 1 else 's stand'}"
                notes.append(f"{words} in {one.given.name} and in {other.given.name}")
    return notes
