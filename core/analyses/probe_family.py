"""Which probe, and which direction: four families on the same states, folds and controls."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.analyses import probe_scores as scores
from core.analyses import probe_splits as splits
from core.analyses.probe_asked import Sides, sides, stream_names, vectors
from core.analyses.probe_trained import METHODS, trained, unit
from core.analyses.runs import Progress
from core.models.loaded import Loaded
from core.results.probe_family import ProbeFamily

SHUFFLES = 20


def probe_family(
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
    C: float = 1.0,
    folds: int = 5,
    seed: int = 0,
    too_long: str = "cut",
) -> ProbeFamily:
    """Logistic regression, difference in means, LDA and PCA of the states at every layer.

    labelled  a built-in set by name, the path of a table, or a set's fields; or concept=, or
              texts= with labels= and groups=
    positive  the class that counts, against all others; "" is the set's last one
    position  "last", "mean", "word", "-2", ...; "" is where the set is meant to be read
    too_long  texts longer than the context: "cut" to their ends, or "refuse"

    Detection on held-out groups, the direction each gives from all texts, and how far they agree.
    The families and their use for detection and steering follow von Rütte et al. 2024 ("A
    Language Model's Guide Through Latent Space") and Marks and Tegmark 2023.
    """
    one = sides(
        loaded, labelled=labelled, concept=concept, texts=texts, labels=labels, groups=groups,
        words=words, positive=positive, position=position, too_long=too_long, folds=folds,
        seed=seed,
    )  # fmt: skip
    states = vectors(loaded, progress, one, (0.0, 0.5), "reading the texts")
    columns = _Columns(one, seed)
    rows = []
    for layer, x in enumerate(states):
        progress.step(0.5 + 0.5 * layer / len(states), f"probes of layer {layer}")
        rows.append(_layer(x, columns, C, seed, progress))
    found = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    return _result(loaded, one, C, seed, found)


class _Columns:
    """The label sets and folds as columns: real labels first, then shuffles; folds, then all.

    labels, train [item, column] with column = set x (folds + 1) + fold, the last one all texts
    """

    def __init__(self, one: Sides, seed: int) -> None:
        self.one = one
        rng = np.random.default_rng((seed, 2))
        mixed = splits.shuffled(one.label, one.fold, one.group, SHUFFLES, rng)
        self.sets = np.concatenate([one.label[:, None], mixed], axis=1)  # [item, set]
        held = one.fold[:, None] == np.arange(one.n_folds + 1)
        self.labels = np.repeat(self.sets, one.n_folds + 1, axis=1)
        self.train = np.tile(~held, (1, self.sets.shape[1]))
        self.draws = scores.draws(one.group, np.random.default_rng((seed, 3)))

    def held(self, margin: Tensor) -> np.ndarray:
        """[item, set] of margins [item, column]: each item by the probe that has not seen it."""
        shaped = margin.reshape(len(self.labels), self.sets.shape[1], -1).cpu().numpy()
        found: np.ndarray = shaped[np.arange(len(shaped)), :, self.one.fold]
        return found

    def judged(self, margin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """AUC and accuracy [set] of held-out margins [item, set]."""
        fold, once = self.one.fold, np.ones((1, len(margin)))
        aucs = [
            np.nanmean(scores.auc(values[:, None], own, fold))
            for values, own in zip(margin.T, self.sets.T, strict=True)
        ]
        right = ((margin > 0) == self.sets).astype(float).T
        return np.array(aucs), scores.fold_means(right, fold, once)[:, 0]


def _layer(
    x: Tensor, columns: _Columns, c: float, seed: int, progress: Progress
) -> dict[str, np.ndarray]:
    """Every measure of one layer, by the name of its array; the method axis is first."""
    parts: list[dict[str, Any]] = [
        _method(x, columns, method, c, seed, progress) for method in METHODS
    ]
    chance = trained(x, columns.labels, columns.train, "random", seed=seed)
    aucs, accuracies = columns.judged(columns.held(chance.margin(x)))
    whole = torch.stack([part.pop("whole") for part in parts])  # [method, d, set]
    cosine = torch.einsum("mds,nds->smn", whole, whole).cpu().numpy()
    found = {name: np.stack([part[name] for part in parts]) for name in parts[0]}
    return found | {
        "cosine": cosine[0],
        "control_cosine": cosine[1:].mean(axis=0),
        "random_auc": aucs,
        "random_accuracy": accuracies,
    }


def _method(
    x: Tensor, columns: _Columns, method: str, c: float, seed: int, progress: Progress
) -> dict[str, Any]:
    one = columns.one
    fits = trained(x, columns.labels, columns.train, method, c, seed=seed, check=progress.check)
    margin = columns.held(fits.margin(x))
    aucs, accuracies = columns.judged(margin)
    drawn = scores.auc_draws(margin[:, :1], one.label, one.fold, columns.draws)
    weight = fits.weight.reshape(x.shape[1], -1, one.n_folds + 1)  # [d, set, fold or all]
    each = unit(weight.flatten(1)).reshape(weight.shape)
    whole = each[:, :, -1]
    along = (x.double() @ whole[:, 0]).cpu().numpy()
    size = float(torch.linalg.vector_norm(weight[:, 0, -1]).clamp_min(1e-12))
    low, high = np.quantile(drawn, (0.025, 0.975))
    return {
        "whole": whole,
        "auc": aucs[0],
        "auc_low": low,
        "auc_high": high,
        "accuracy": accuracies[0],
        "control_auc": aucs[1:],
        "control_accuracy": accuracies[1:],
        "direction": whole[:, 0].cpu().numpy(),
        "threshold": -float(fits.bias.reshape(-1, one.n_folds + 1)[0, -1]) / size,
        "gap": along[one.label == 1].mean() - along[one.label == 0].mean(),
        "fold_cosine": float((each[:, 0, :-1] * whole[:, :1]).sum(0).mean()),
    }


def _result(
    loaded: Loaded, one: Sides, c: float, seed: int, found: dict[str, np.ndarray]
) -> ProbeFamily:
    first = ("auc", "auc_low", "auc_high", "accuracy", "threshold", "gap", "fold_cosine")
    turned = {name: found[name].T for name in first}
    turned |= {name: found[name].transpose(2, 1, 0) for name in ("control_auc", "control_accuracy")}
    turned |= {name: found[name].T for name in ("random_auc", "random_accuracy")}
    direction = found["direction"].transpose(1, 0, 2)
    turned |= {"direction": direction, "layer_cosine": direction @ direction.transpose(0, 2, 1)}
    turned |= {name: found[name] for name in ("cosine", "control_cosine")}
    return ProbeFamily(
        request={},
        concept=one.given.name,
        about=one.given.about,
        source=one.given.source,
        positive=one.positive,
        negative=one.negative,
        position=one.read.asked,
        seed=seed,
        c=c,
        methods=METHODS,
        sites=stream_names(loaded),
        grouped=bool(one.given.groups),
        n_texts=len(one.label),
        n_positive=int(one.label.sum()),
        n_groups=len(np.unique(one.group)),
        n_folds=one.n_folds,
        n_shuffles=SHUFFLES,
        notes=one.notes,
        **{name: np.ascontiguousarray(values, "float32") for name, values in turned.items()},
    )
