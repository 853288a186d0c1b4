"""Classifiers on states: a linear probe and a small network, judged on held-out items."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

C = 100.0  # next to no penalty: a probe should find whatever is there
HIDDEN = 32
FOLDS = 5


def linear(seed: int = 0) -> Any:
    """A nearly unpenalised logistic regression on standardised values."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = LogisticRegression(C=C, max_iter=300, random_state=seed)
    return make_pipeline(StandardScaler(), model)


def network(seed: int = 0) -> Any:
    """A network with one hidden layer of 32 units on standardised values."""
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = MLPClassifier((HIDDEN,), solver="lbfgs", alpha=1.0, max_iter=200, random_state=seed)
    return make_pipeline(StandardScaler(), model)


def fitted(probe: Any, x: np.ndarray, labels: np.ndarray) -> Any:
    """The probe trained on x [item, d]; one that has not settled is taken as it is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return probe.fit(x, labels)


def accuracy(
    probe: Any,
    x: np.ndarray,
    labels: np.ndarray,
    train: Sequence[int],
    test: Sequence[int],
) -> float:
    """Share of the held-out items a probe trained on the others gets right."""
    return float(fitted(probe, x[train], labels[train]).score(x[test], labels[test]))


def cross_validated(
    probe: Any, x: np.ndarray, labels: np.ndarray, groups: np.ndarray, seed: int = 0
) -> float:
    """Accuracy over folds that keep groups together and classes even; NaN for too few items."""
    from sklearn.model_selection import StratifiedGroupKFold

    per_class = [len(np.unique(groups[labels == one])) for one in np.unique(labels)]
    k = min(FOLDS, *per_class)
    if k < 2 or len(per_class) < 2:
        return float("nan")
    right = 0.0
    folds = StratifiedGroupKFold(k, shuffle=True, random_state=seed)
    for train, test in folds.split(x, labels, groups):
        if len(np.unique(labels[train])) < 2:
            right += float((labels[test] == labels[train][0]).sum())
        else:
            right += accuracy(probe, x, labels, train, test) * len(test)
    return right / len(labels)


def direction_of(probe: Any) -> np.ndarray:
    """The weights of a linear probe in the units of the states, [class or 1, d]."""
    scaler, model = probe[0], probe[-1]
    found: np.ndarray = model.coef_ / scaler.scale_
    return found
