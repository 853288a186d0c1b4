"""Held-out ridge probes of many places in a model, each beside shuffled labels; plain arithmetic.

The penalty is chosen by leave-one-out for every label set and fold, so that places of any width
and scale are read alike, and twenty label sets cost hardly more than one.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from core.analyses import probe_scores as scores
from core.analyses import probe_splits as splits
from core.analyses.probe_closed import ridge
from core.spec.errors import Error

_CONSTANT = 1e-7
DRAWS = 200


@dataclass(frozen=True)
class Case:
    """Who is asked, and what: label [item] 0 or 1, group [item], fold [item] it is held out in,
    sets [item, 1 + shuffle]: the labels, then shuffles of them."""

    label: np.ndarray
    group: np.ndarray
    fold: np.ndarray
    sets: np.ndarray

    @property
    def n_folds(self) -> int:
        return int(self.fold.max()) + 1


def case(label: np.ndarray, group: np.ndarray, fold: np.ndarray, shuffles: int, seed: int) -> Case:
    """Labels shuffled on the same folds; groups of one label exchange theirs."""
    if isinstance(shuffles, bool) or not isinstance(shuffles, int) or not 1 <= shuffles <= 1_000:
        raise Error(f"shuffles= is a number from 1 to 1,000, not {shuffles!r}")
    rng = np.random.default_rng((seed, 6))
    mixed = splits.shuffled(label, fold, group, shuffles, rng)
    return Case(label, group, fold, np.concatenate([label[:, None], mixed], axis=1))


def held_out(x: Tensor, sets: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Margins [item, set] of x [item, d], each item by the probe that has not seen its fold.

    sets [item, set] of 0 and 1; every set is a label set of its own.
    """
    if not bool(torch.isfinite(x).all()):
        raise Error("the states of a layer are not finite; load the model in float32")
    wide, labels = x.double(), torch.from_numpy(np.ascontiguousarray(sets)).to(x.device)
    found = torch.zeros(len(x), sets.shape[1], dtype=torch.float64, device=x.device)
    for number in range(int(fold.max()) + 1):
        here = torch.from_numpy(fold == number).to(x.device)
        train = wide[~here]
        middle, spread = train.mean(dim=0), train.std(dim=0, correction=0)
        size = torch.where(spread > _CONSTANT * middle.abs(), spread, torch.ones_like(spread))
        weight, level = ridge((train - middle) / size, labels[~here], 2)
        found[here] = ((wide[here] - middle) / size) @ weight[..., 0] + level[:, 0]
    return found.cpu().numpy()


def aucs(margin: np.ndarray, sets: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """AUC [fold, set] of margins [item, set], NaN in a fold without a class; ties count half."""
    from scipy.stats import rankdata  # slow to import

    rows = []
    for number in range(int(fold.max()) + 1):
        here = fold == number
        up = sets[here] == 1
        n, m = up.sum(axis=0), (~up).sum(axis=0)
        ranks = rankdata(margin[here], axis=0)
        above = (ranks * up).sum(axis=0) - n * (n + 1) / 2
        rows.append(np.where(n * m > 0, above / np.maximum(n * m, 1), np.nan))
    return np.stack(rows)


def mean(folds: np.ndarray) -> np.ndarray:
    """Mean over the folds [fold, ...] that have a value; NaN where none has."""
    known = np.isfinite(folds)
    total = np.where(known, folds, 0).sum(axis=0)
    found: np.ndarray = np.where(
        known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), np.nan
    )
    return found


def accuracies(margin: np.ndarray, sets: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Accuracy [set], mean over folds, of margins [item, set] cut at 0."""
    right = ((margin > 0) == (sets == 1)).astype(float).T
    return scores.fold_means(right, fold, np.ones((1, len(margin))))[:, 0]


@dataclass(frozen=True)
class Read:
    """What probes read at one place: auc, its 95 % interval, accuracy, and the shuffles'
    control [shuffle] AUCs; folds [fold, 1 + shuffle] AUCs; margin [item] held out."""

    auc: float
    low: float
    high: float
    accuracy: float
    control: np.ndarray
    folds: np.ndarray
    margin: np.ndarray


def read(x: Tensor, asked: Case, drawn: np.ndarray) -> Read:
    """Probe one place, x [item, d]; drawn [draw, item] from `probe_scores.draws`."""
    margin = held_out(x, asked.sets, asked.fold)
    each = aucs(margin, asked.sets, asked.fold)
    whole = mean(each)
    spread = scores.auc_draws(margin[:, :1], asked.label, asked.fold, drawn)
    low, high = np.quantile(spread, (0.025, 0.975))
    return Read(
        float(whole[0]), float(low), float(high),
        float(accuracies(margin[:, :1], asked.sets[:, :1], asked.fold)[0]),
        whole[1:], each, margin[:, 0],
    )  # fmt: skip


def draws(asked: Case, seed: int) -> np.ndarray:
    """How often each item counts when groups are drawn again, [draw, item]."""
    return scores.draws(asked.group, np.random.default_rng((seed, 7)), DRAWS)


def beyond(values: np.ndarray, most: np.ndarray) -> np.ndarray:
    """Share of shuffles, and the real labels, whose largest place reaches each value: p [place]
    for the family of all places (Westfall and Young 1993, single step).

    values [place] AUCs; most [shuffle] the largest AUC of each shuffle over the same places.
    """
    reach = (most[:, None] >= values[None]).sum(axis=0)
    found: np.ndarray = np.where(np.isfinite(values), (1 + reach) / (1 + len(most)), np.nan)
    return found


def chosen_elsewhere(folds: np.ndarray) -> np.ndarray:
    """Score [set] of the place that is best on all other folds, mean over folds.

    folds [fold, set, place]; what choosing among many places adds by luck is not in it.
    """
    n_folds, n_sets, _ = folds.shape
    picked = np.full((n_folds, n_sets), np.nan)
    for fold in range(n_folds):
        others = mean(np.delete(folds, fold, axis=0))  # [set, place]
        best = np.where(np.isfinite(others), others, -1).argmax(axis=1)
        picked[fold] = folds[fold, np.arange(n_sets), best]
    return mean(picked)
