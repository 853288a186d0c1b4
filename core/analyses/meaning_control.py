"""Does the model hold a meaning, or does the probe make it? Probes under other meanings."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from core.analyses import probe_cells as cells
from core.analyses import probe_scores as scores
from core.analyses import probe_splits as splits
from core.analyses.depth_given import Read, read
from core.analyses.head_nulls import untrained as untrained_twin
from core.analyses.probe_asked import stream_names
from core.analyses.runs import Progress, Silent
from core.analyses.states import states
from core.corpus.meanings import Meanings, named
from core.models.loaded import Loaded
from core.results.meaning_control import MeaningControl
from core.spec.errors import Error
from core.spec.labelled import LabelledSet, of_labels, together

SHUFFLES, MEANINGS, MOST = 20, 20, 200
DRAWS = 200


def meaning_control(
    loaded: Loaded,
    progress: Progress,
    *,
    case: str = "",
    texts: Sequence[str] = (),
    labels: Sequence[Any] = (),
    others: Sequence[Sequence[Any]] = (),
    groups: Sequence[Any] | None = None,
    meanings: int = MEANINGS,
    position: str = "last",
    folds: int = 5,
    seed: int = 0,
    too_long: str = "cut",
    untrained: bool = False,
) -> MeaningControl:
    """Held-out AUC under the real meaning of the words minus that under other meanings.

    case      a built-in text whose words can change meaning; or texts= with labels= and
              others=, a list of label lists under other meanings, of the same two classes
    meanings  how many other meanings are drawn (of a built-in text)
    groups    texts that stay together; other meanings have to be learned, so what carries them
              must be on both sides of a split, and without groups only copies stay together

    After Jin and Rinard 2023, "Evidence of Meaning in Language Models Trained on Programs": the
    interpretation is exchanged, the states stay.
    """
    given = _asked(case, texts, labels, others, meanings, seed)
    work = _material(loaded, given, groups, position, folds, seed, too_long)
    found = _read(loaded, progress, work, (0.0, 0.7 if untrained else 0.95))
    fresh, notes = _fresh(loaded, progress, work, len(found["auc"]), untrained)
    progress.step(0.95, "words alone")
    own = bool(case)
    return MeaningControl(
        request={},
        texts_name=given.name,
        about=given.about,
        classes=given.classes,
        others_names=tuple(
            f"{'drawn' if own else 'given'} {number}" for number in range(1, work.n + 1)
        ),
        position=work.read.asked,
        seed=seed,
        sites=stream_names(loaded),
        grouped=groups is not None,
        n_texts=len(given.texts),
        n_groups=len(np.unique(work.group)),
        n_folds=int(work.fold.max()) + 1,
        n_shuffles=SHUFFLES,
        notes=(*work.read.notes, *work.notes, *notes),
        untrained_auc=fresh[0],
        untrained_excess=fresh[1],
        agreement=(given.others == given.label[:, None]).mean(axis=0),
        words_auc=_words(given, work),
        **found,
    )


def _asked(
    case: str,
    texts: Sequence[str],
    labels: Sequence[Any],
    others: Sequence[Sequence[Any]],
    meanings: int,
    seed: int,
) -> Meanings:
    if bool(case) == bool(len(texts)):
        raise Error("say which texts: case= one of the built-in ones, or texts=, labels=, others=")
    if isinstance(meanings, bool) or not isinstance(meanings, int) or not 1 <= meanings <= MOST:
        raise Error(f"meanings= is a number from 1 to {MOST}, not {meanings!r}")
    if case:
        return named(case, meanings, seed)
    if not 1 <= len(others) <= MOST:
        raise Error(f"others= holds 1 to {MOST} lists of labels under other meanings")
    one = of_labels("own texts", list(texts), list(labels))
    if len(one.classes) != 2:
        raise Error(f"other meanings are told apart for two classes, not {len(one.classes)}")
    columns = []
    for number, each in enumerate(others, start=1):
        other = of_labels("own texts", list(texts), list(each))
        if other.classes != one.classes:
            raise Error(
                f"list {number} of others= has the classes {', '.join(other.classes)[:60]}, the "
                f"labels {', '.join(one.classes)[:60]}; the same two are needed"
            )
        columns.append(other.labels)
    classes = (one.classes[0], one.classes[1])
    label, table = np.array(one.labels), np.array(columns).T
    return Meanings(one.name, "", one.texts, classes, label, table)


@dataclass(frozen=True)
class _Work:
    """sets [item, set]: the real labels, n other meanings, then shuffles of the real ones."""

    read: Read
    sets: np.ndarray
    n: int
    group: np.ndarray
    fold: np.ndarray
    drawn: np.ndarray
    notes: tuple[str, ...]


def _material(
    loaded: Loaded,
    given: Meanings,
    groups: Sequence[Any] | None,
    position: str,
    folds: int,
    seed: int,
    too_long: str,
) -> _Work:
    names = () if groups is None else tuple(str(one) for one in groups)
    whole = LabelledSet(given.name, given.texts, given.label.tolist(), given.classes, names)
    one = read(loaded, whole, position, too_long)
    group = np.array(together(whole))
    fold = splits.folds(given.label, group, folds, seed, given.classes)
    rng = np.random.default_rng((seed, 12))
    mixed = splits.shuffled(given.label, fold, group, SHUFFLES, rng)
    sets = np.concatenate([given.label[:, None], given.others, mixed], axis=1)
    same = (given.others == given.label[:, None]).mean(axis=0)
    notes = []
    if np.abs(same - 0.5).max() > 0.3:
        notes.append(
            f"another meaning labels {100 * float(same[np.abs(same - 0.5).argmax()]):.0f} % of the "
            "texts as the real one does; what reads one then reads the other"
        )
    drawn = scores.draws(group, np.random.default_rng((seed, 13)), DRAWS)
    return _Work(one, sets, given.others.shape[1], group, fold, drawn, tuple(notes))


def _read(
    loaded: Loaded,
    progress: Progress,
    work: _Work,
    share: tuple[float, float],
    *,
    alone: bool = False,
) -> dict[str, Any]:
    """Scores of every layer; `alone` only the AUCs of the meanings."""
    middle = (share[0] + share[1]) / 2
    seen = states(
        loaded, progress, work.read.ids, positions=(work.read.position,), embedding=True,
        share=(share[0], middle),
    ).vectors[0]  # fmt: skip
    sets = work.sets[:, : 1 + work.n] if alone else work.sets
    rows, folds = [], []
    for layer, x in enumerate(seen):
        progress.step(middle + (share[1] - middle) * layer / len(seen), f"probes of layer {layer}")
        margin = cells.held_out(x, sets, work.fold)
        folds.append(cells.aucs(margin, sets, work.fold))
        if not alone:
            rows.append(_row(margin, sets, work))
    each = np.stack(folds, axis=-1)  # [fold, set, layer]
    whole = cells.mean(each)
    found: dict[str, Any] = {
        "auc": whole[0],
        "other_auc": whole[1 : 1 + work.n],
        "excess": whole[0] - whole[1 : 1 + work.n].mean(axis=0),
    }
    if alone:
        return found
    found |= {name: np.stack([row[name] for row in rows], axis=-1) for name in rows[0]}
    above = _above(each[:, : 1 + work.n])
    nested = cells.chosen_elsewhere(above)
    return found | {
        "control_auc": whole[1 + work.n :],
        "other_excess": cells.mean(above)[1:],
        "nested": float(nested[0]),
        "nested_others": nested[1:],
    }


def _row(margin: np.ndarray, sets: np.ndarray, work: _Work) -> dict[str, np.ndarray]:
    """Intervals and accuracies of one layer."""
    spread = np.stack(
        [
            scores.auc_draws(margin[:, one : one + 1], sets[:, one], work.fold, work.drawn)
            for one in range(1 + work.n)
        ]
    )  # [set, draw]
    apart = spread[0] - spread[1:].mean(axis=0)
    right = cells.accuracies(margin[:, : 1 + work.n], sets[:, : 1 + work.n], work.fold)
    low, high = np.quantile(spread[0], (0.025, 0.975))
    least, most = np.quantile(apart, (0.025, 0.975))
    return {
        "auc_low": low,
        "auc_high": high,
        "excess_low": least,
        "excess_high": most,
        "accuracy": right[0],
        "other_accuracy": right[1:],
    }


def _above(folds: np.ndarray) -> np.ndarray:
    """How far each meaning is above the mean of the others, [fold, set, layer] as given."""
    total = np.nansum(folds, axis=1, keepdims=True)
    found: np.ndarray = folds - (total - np.nan_to_num(folds)) / max(1, folds.shape[1] - 1)
    return found


def _fresh(
    loaded: Loaded, progress: Progress, work: _Work, n_rows: int, untrained: bool
) -> tuple[tuple[np.ndarray, np.ndarray], list[str]]:
    missing = np.full(n_rows, np.nan)
    if not untrained:
        return (missing, missing), []
    twin, why = untrained_twin(loaded, 0)
    if twin is None:
        return (missing, missing), [why]
    progress.step(0.7, "fresh weights")
    found = _read(twin, Silent(), work, (0.0, 1.0), alone=True)
    return (found["auc"], found["excess"]), []


def _words(given: Meanings, work: _Work) -> np.ndarray:
    """AUC of a probe of which words a text holds, [1 + meaning]."""
    from sklearn.feature_extraction.text import CountVectorizer

    held = CountVectorizer(binary=True, token_pattern=r"(?u)\w+|[^\w\s]", max_features=5_000)
    x = torch.from_numpy(held.fit_transform(given.texts).toarray()).double()
    sets = work.sets[:, : 1 + work.n]
    return cells.mean(cells.aucs(cells.held_out(x, sets, work.fold), sets, work.fold))
