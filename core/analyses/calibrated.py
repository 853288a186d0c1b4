"""Probabilities of probes: a temperature from inner folds, reliability, stopping early; no model.

Margins are log odds of the positive class.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from core.analyses import probe_scores as scores
from core.analyses import probe_splits as splits
from core.analyses.probe_logistic import TOLERANCE
from core.analyses.probe_trained import trained

INNER, SHUFFLES, DRAWS, BINS = 3, 5, 100, 10
TEMPERATURES = np.geomspace(0.2, 50, 241)
Check = Callable[[], None]


@dataclass(frozen=True)
class Case:
    """label [text] 0 or 1, fold [text], sets [text, set] the labels, then shuffles of them,
    inner [text] the part of the training texts that a temperature is fitted on in turn."""

    label: np.ndarray
    group: np.ndarray
    fold: np.ndarray
    sets: np.ndarray
    inner: np.ndarray

    @property
    def n_folds(self) -> int:
        return int(self.fold.max()) + 1


def case(label: np.ndarray, group: np.ndarray, fold: np.ndarray, seed: int) -> Case:
    """The shuffles and the inner parts, whole groups each, of a question."""
    rng = np.random.default_rng((seed, 21))
    mixed = splits.shuffled(label, fold, group, SHUFFLES, rng)
    names, member = np.unique(group, return_inverse=True)
    share = np.bincount(member, weights=label) / np.bincount(member)
    order = np.lexsort((rng.uniform(size=len(names)), share))  # both classes in every part
    part = np.empty(len(names), dtype=np.int64)
    part[order] = np.arange(len(names)) % INNER
    sets = np.concatenate([label[:, None], mixed], axis=1)
    return Case(label, group, fold, sets, part[member])


@dataclass(frozen=True)
class Scaled:
    """margin [text, set] of held-out texts, temperature [fold, set] it is to be divided by."""

    margin: np.ndarray
    temperature: np.ndarray

    def cooled(self, fold: np.ndarray) -> np.ndarray:
        """Margins over the temperature of their fold, [text, set]."""
        return np.asarray(self.margin / self.temperature[fold])


def scaled(x: Tensor, one: Case, sets: np.ndarray, c: float, check: Check) -> Scaled:
    """Logistic probes of the states x [text, d] for each set, and their temperatures."""
    n, folds = len(x), one.n_folds
    train = np.zeros((n, folds, INNER + 1), dtype=bool)
    for fold in range(folds):
        kept = one.fold != fold
        train[:, fold, 0] = kept
        for part in range(INNER):
            train[:, fold, part + 1] = kept & (one.inner != part)
    flat = train.reshape(n, -1)
    labels = np.repeat(sets, flat.shape[1], axis=1)
    fits = trained(
        x, labels, np.tile(flat, (1, sets.shape[1])), "logistic", c, tolerance=TOLERANCE,
        check=check,
    )  # fmt: skip
    shaped = fits.margin(x).cpu().numpy().reshape(n, sets.shape[1], folds, INNER + 1)
    items = np.arange(n)
    inner = shaped[items, :, :, one.inner + 1]  # [text, set, fold]
    found = np.ones((folds, sets.shape[1]))
    for fold in range(folds):
        seen = one.fold != fold
        for row in range(sets.shape[1]):
            found[fold, row] = temperature(inner[seen, row, fold], sets[seen, row])
    return Scaled(np.asarray(shaped[items, :, one.fold, 0]), found)


def temperature(margin: np.ndarray, label: np.ndarray) -> float:
    """What margins [item] are to be divided by for the least log loss, of `TEMPERATURES`."""
    against = np.where(label == 1, -1.0, 1.0) * margin
    loss = np.logaddexp(0, against[:, None] / TEMPERATURES).sum(axis=0)
    return float(TEMPERATURES[int(loss.argmin())])


def measured(margin: np.ndarray, label: np.ndarray) -> dict[str, float]:
    """Log loss in nats, expected calibration error and Brier score of margins [text]."""
    loss, error = scores.log_loss(margin[None, :, None], label)
    return {
        "log_loss": float(loss[0]),
        "ece": float(error[0]),
        "brier": float(((sigmoid(margin) - label) ** 2).mean()),
    }


def perfect(margin: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Calibration error [draw] of these margins if they were right: labels drawn from them."""
    p = sigmoid(margin)
    drawn = (rng.uniform(size=(DRAWS, len(p))) < p).astype(np.int64)
    each = [scores.log_loss(margin[None, :, None], label)[1][0] for label in drawn]
    return np.array(each)


def reliability(margin: np.ndarray, label: np.ndarray) -> np.ndarray:
    """[bin, 3] of ten bins of the probability of the positive class: how many texts, their mean
    probability, the share that is positive; NaN where there is none."""
    p = sigmoid(margin)
    place = np.minimum((p * BINS).astype(int), BINS - 1)
    found = np.full((BINS, 3), np.nan)
    for number in range(BINS):
        here = place == number
        found[number, 0] = here.sum()
        if here.any():
            found[number, 1:] = p[here].mean(), label[here].mean()
    return found


def stops(
    margin: np.ndarray, label: np.ndarray, thresholds: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """How far every text is read and how often it is told right, when it stops at the first
    stage whose probe is this sure: mean stage and accuracy [threshold] of margins [stage, text].
    """
    sure = sigmoid(np.abs(margin))
    right = (margin > 0) == label
    items = np.arange(margin.shape[1])
    stage, accuracy = [], []
    for level in thresholds:
        there = sure >= level
        there[-1] = True
        at = there.argmax(axis=0)
        stage.append(at.mean())
        accuracy.append(right[at, items].mean())
    return np.array(stage), np.array(accuracy)


def sigmoid(margin: np.ndarray) -> np.ndarray:
    return np.asarray(np.exp(-np.logaddexp(0, -margin)))
