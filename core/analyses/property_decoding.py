"""Which properties of words can be read from their states: one logistic regression for each."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from core.analyses.probe_scores import auc
from core.analyses.probe_trained import trained

FOLDS, VALIDATION = 10, 3
PENALTIES = tuple(10.0**power for power in range(-4, 5))  # of the squared weights
N_CHANCES = 3


@dataclass(frozen=True)
class Decoded:
    """auc, f1 [property] of held-out items; chance [shuffle, property] AUC with the items dealt
    out anew; penalty [property] the middle one of the folds."""

    auc: np.ndarray
    f1: np.ndarray
    chance: np.ndarray
    penalty: np.ndarray


def decoded(
    states: np.ndarray,
    labels: np.ndarray,
    seed: int,
    check: Callable[[], None] = lambda: None,
) -> Decoded:
    """Ten-fold held-out scores of every property.

    states  [item, d]; labels [item, property] bool

    The penalty of a fold is the one whose probe, learned on six of the other folds, is most
    probable on the remaining three; the probe is then learned again on all nine.
    """
    x = torch.from_numpy(np.asarray(states, dtype=np.float32))
    n = len(labels)
    rng = np.random.default_rng((seed, 51))
    fold = rng.permutation(np.arange(n) % FOLDS)
    penalty = _chosen(x, labels, fold, check)  # [property, fold]
    margin = _held_out(x, labels, fold, penalty, check)
    middle = np.median(penalty, axis=1)
    chances = []
    for _ in range(N_CHANCES):
        mixed = labels[rng.permutation(n)]
        fixed = np.repeat(_near(middle)[:, None], FOLDS, axis=1)
        chances.append(_aucs(_held_out(x, mixed, fold, fixed, check), mixed, fold))
    return Decoded(_aucs(margin, labels, fold), _f1(margin, labels), np.stack(chances), middle)


def _near(values: np.ndarray) -> np.ndarray:
    """The penalty of the menu that is nearest."""
    menu = np.array(PENALTIES)
    found: np.ndarray = menu[np.abs(np.log(values)[:, None] - np.log(menu)).argmin(axis=1)]
    return found


def _columns(labels: np.ndarray, keep: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels and training items [item, property x fold] of keep [item, fold]."""
    n_folds = keep.shape[1]
    return (
        np.repeat(labels, n_folds, axis=1).astype(np.int64),
        np.tile(keep, (1, labels.shape[1])),
    )


def _chosen(
    x: torch.Tensor, labels: np.ndarray, fold: np.ndarray, check: Callable[[], None]
) -> np.ndarray:
    away = (fold[:, None] - np.arange(FOLDS)) % FOLDS  # 0: tested; 1 to 3: validation
    given, train = _columns(labels, away > VALIDATION)
    tried = np.tile((away > 0) & (away <= VALIDATION), (1, labels.shape[1]))
    loss = []
    for penalty in PENALTIES:
        check()
        margin = trained(x, given, train, "logistic", 1 / penalty, check=check).margin(x).numpy()
        signed = np.where(given == 1, margin, -margin)
        loss.append((np.logaddexp(0, -signed) * tried).sum(axis=0) / tried.sum(axis=0))
    best = np.array(PENALTIES)[np.stack(loss).argmin(axis=0)]
    return best.reshape(labels.shape[1], FOLDS)


def _held_out(
    x: torch.Tensor, labels: np.ndarray, fold: np.ndarray, penalty: np.ndarray,
    check: Callable[[], None],
) -> np.ndarray:  # fmt: skip
    """Log odds [item, property], every item by the probe of the fold that left it out."""
    given, train = _columns(labels, fold[:, None] != np.arange(FOLDS))
    flat = penalty.reshape(-1)
    margin = np.zeros(given.shape)
    for one in np.unique(flat):
        check()
        mine = np.flatnonzero(flat == one)
        fit = trained(x, given[:, mine], train[:, mine], "logistic", 1 / one, check=check)
        margin[:, mine] = fit.margin(x).numpy()
    own = margin.reshape(len(x), labels.shape[1], FOLDS)
    found: np.ndarray = own[np.arange(len(x)), :, fold]
    return found


def _aucs(margin: np.ndarray, labels: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """[property] share of pairs in order, over pairs of one fold: a fold with many that have the
    property has a probe that has seen few of them, so folds are not compared."""
    found = []
    for one, own in zip(margin.T, labels.T.astype(np.int64), strict=True):
        each = auc(one[:, None], own, fold)
        positive = np.bincount(fold, weights=own, minlength=FOLDS)
        pairs = positive * (np.bincount(fold, minlength=FOLDS) - positive)
        known = pairs > 0
        total = pairs[known].sum()
        found.append(float((each[known] * pairs[known]).sum() / total) if total else float("nan"))
    return np.array(found)


def _f1(margin: np.ndarray, labels: np.ndarray) -> np.ndarray:
    said = margin > 0
    hits = (said & labels).sum(axis=0)
    found: np.ndarray = 2 * hits / np.maximum(said.sum(axis=0) + labels.sum(axis=0), 1)
    return found
