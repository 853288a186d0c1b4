"""Scores of held-out items, with intervals over the groups they come in; plain arithmetic."""

from collections.abc import Iterator

import numpy as np

DRAWS = 300
_Z = 1.959964


def predicted(margin: np.ndarray) -> np.ndarray:
    """Class numbers from margins [..., output]: one output is the log odds of class 1."""
    if margin.shape[-1] == 1:
        return (margin[..., 0] > 0).astype(np.int64)
    found: np.ndarray = margin.argmax(axis=-1)
    return found


def f1(right: np.ndarray, said: np.ndarray, there: np.ndarray) -> np.ndarray:
    """F1 [...] from counts [..., class]; of two classes that of class 1, else the mean of all."""
    each = 2 * right / np.maximum(said + there, 1e-12)
    found: np.ndarray = each[..., 1] if each.shape[-1] == 2 else each.mean(axis=-1)
    return found


def auc(margin: np.ndarray, labels: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Area under the ROC curve [fold] of margins [item, output], NaN in a fold without a class;
    of several classes the mean over one against the rest."""
    weights = np.ones((1, len(labels)))
    found = [parts[:, 0] for parts in _auc_parts(margin, labels, fold, weights)]
    return np.array([_ratio(*part) for part in found])


def _ratio(above: float, pairs: float) -> float:
    return above / pairs if pairs > 0 else float("nan")


def _auc_parts(
    margin: np.ndarray, labels: np.ndarray, fold: np.ndarray, weights: np.ndarray
) -> Iterator[np.ndarray]:
    """For each fold the mean share of ordered pairs and 1 (0 where there is no pair), [2, draw]."""
    classes = range(margin.shape[1])
    for number in range(int(fold.max()) + 1):
        here = fold == number
        shares = []
        for output in classes:
            positive = labels[here] == (1 if len(classes) == 1 else output)
            shares.append(_one_auc(margin[here, output], positive, weights[:, here]))
        known = np.isfinite(shares)
        total = np.where(known, shares, 0).sum(axis=0)
        yield np.stack([total, known.sum(axis=0)])


def _one_auc(score: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted AUC [draw], ties half; NaN without both classes."""
    order = score.argsort(kind="stable")
    starts = np.flatnonzero(np.append(True, np.diff(score[order]) > 0))
    counted, positive = weights[:, order], positive[order]
    up = np.add.reduceat(counted * positive, starts, axis=1)
    down = np.add.reduceat(counted * ~positive, starts, axis=1)
    below = np.cumsum(down, axis=1) - down / 2
    pairs = up.sum(axis=1) * down.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: np.ndarray = np.where(pairs > 0, (up * below).sum(axis=1) / pairs, np.nan)
    return found


def draws(groups: np.ndarray, rng: np.random.Generator, n: int = DRAWS) -> np.ndarray:
    """How often each item counts when whole groups are drawn with replacement, [draw, item]."""
    names, member = np.unique(groups, return_inverse=True)
    counts = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=n)
    found: np.ndarray = counts[:, member].astype(float)
    return found


def fold_means(values: np.ndarray, fold: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean over folds of the mean of values [..., item] in a fold, for each draw [..., draw]."""
    total, n = 0.0, 0.0
    for number in range(int(fold.max()) + 1):
        here = fold == number
        size = weights[:, here].sum(axis=1)
        total = total + values[..., here] @ weights[:, here].T / np.maximum(size, 1e-12)
        n = n + (size > 0)
    found: np.ndarray = total / np.maximum(n, 1)
    return found


def auc_draws(
    margin: np.ndarray, labels: np.ndarray, fold: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Mean over folds of the AUC for each draw, [draw]."""
    parts = list(_auc_parts(margin, labels, fold, weights))
    each = np.array([np.where(n > 0, t / np.maximum(n, 1), np.nan) for t, n in parts])
    known = np.isfinite(each)
    found: np.ndarray = np.where(known, each, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return found


def f1_draws(
    guess: np.ndarray, labels: np.ndarray, n_classes: int, weights: np.ndarray
) -> np.ndarray:
    """F1 of guesses [layer, item] for each draw, [layer, draw]."""
    right, said, there = [], [], []
    for one in range(n_classes):
        is_one = labels == one
        right.append(((guess == one) & is_one) @ weights.T)
        said.append((guess == one) @ weights.T)
        there.append(np.broadcast_to(is_one @ weights.T, said[-1].shape))
    return f1(np.stack(right, -1), np.stack(said, -1), np.stack(there, -1))


def wilson(share: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """95 % interval of a share of n items (Wilson, 1927)."""
    middle = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z * np.sqrt(share * (1 - share) / n + _Z**2 / (4 * n * n)) / (1 + _Z**2 / n)
    return middle - half, middle + half


def log_loss(margin: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean negative log probability of the label, nats, and the expected calibration error over
    ten bins of equal width, each [layer], of margins [layer, item, output]."""
    if margin.shape[-1] == 1:
        margin = np.concatenate([np.zeros_like(margin), margin], axis=-1)
    top = margin.max(axis=-1, keepdims=True)
    log_p = margin - top - np.log(np.exp(margin - top).sum(axis=-1, keepdims=True))
    loss = -log_p[:, np.arange(len(labels)), labels].mean(axis=1)
    sure = np.exp(log_p.max(axis=-1))
    right = log_p.argmax(axis=-1) == labels
    bins = np.minimum((sure * 10).astype(int), 9)
    error = np.zeros(len(margin))
    for number in range(10):
        here = bins == number
        n = here.sum(axis=1)
        gap = np.where(here, right - sure, 0).sum(axis=1)
        error += np.abs(gap) / margin.shape[1] * (n > 0)
    return loss, error
