"""Who trains and who is asked: folds, shuffled labels and control tasks; no model."""

from collections.abc import Sequence

import numpy as np

from core.spec.errors import Error


def folds(
    labels: np.ndarray, groups: np.ndarray | None, k: int, seed: int, names: Sequence[str]
) -> np.ndarray:
    """The fold of each item, [item]: classes even, groups whole, shuffled with the seed.

    labels  [item] class numbers, `names` what the classes are called
    groups  [item] numbers, or None; fewer groups than folds make as many folds as groups
    Raises `Error` where that cannot be done.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    if not 2 <= k <= 100:
        raise Error(f"folds= is a number from 2 to 100, not {k}")
    counts = np.bincount(labels, minlength=len(names))
    least = int(counts.argmin())
    if groups is None:
        if counts[least] < k:
            raise Error(
                f"class {names[least][:40]!r} has {counts[least]} texts and {k} folds are asked "
                f"for; give more texts, or folds={max(2, int(counts[least]))}"
            )
        splitter = StratifiedKFold(k, shuffle=True, random_state=seed)
        return _numbers(splitter.split(labels, labels), len(labels))
    n_groups = len(np.unique(groups))
    if n_groups < 2:
        raise Error("every text is in one group; held-out groups need at least two of them")
    splitter = StratifiedGroupKFold(min(k, n_groups), shuffle=True, random_state=seed)
    found = _numbers(_quiet(splitter, labels, groups), len(labels))
    for fold in range(found.max() + 1):
        missing = np.flatnonzero(np.bincount(labels[found != fold], minlength=len(names)) == 0)
        if len(missing):
            raise Error(
                f"all texts of class {names[missing[0]][:40]!r} are in groups of one fold, so "
                "nothing is left to learn it from; give more groups or fewer folds"
            )
    return found


def _quiet(splitter: object, labels: np.ndarray, groups: np.ndarray) -> object:
    """The splits without the warning that a class has few items: that is checked here."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return list(splitter.split(labels, labels, groups))  # type: ignore[attr-defined]


def _numbers(splits: object, n: int) -> np.ndarray:
    found = np.full(n, -1)
    for number, (_, test) in enumerate(splits):  # type: ignore[var-annotated, arg-type]
        found[test] = number
    return found


def shuffled(
    labels: np.ndarray,
    fold: np.ndarray,
    groups: np.ndarray | None,
    n: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """n sets of shuffled labels, [item, n].

    Where every group has one label, groups exchange theirs; else the items of a fold do, so that
    every fold keeps its share of each class.
    """
    found = np.repeat(labels[:, None], n, axis=1)
    if groups is not None:
        names, first, member = np.unique(groups, return_index=True, return_inverse=True)
        whole = labels[first]
        if len(names) < len(labels) and bool((whole[member] == labels).all()):
            return np.stack([rng.permutation(whole)[member] for _ in range(n)], axis=1)
    for number in range(int(fold.max()) + 1):
        items = np.flatnonzero(fold == number)
        for column in range(n):
            found[items, column] = labels[rng.permutation(items)]
    return found


def control_tasks(
    labels: np.ndarray, types: np.ndarray, n: int, rng: np.random.Generator
) -> np.ndarray | None:
    """n control tasks, [item, n]: every type has one random label (Hewitt and Liang, 2019).

    Labels are drawn with the shares of the classes. None where fewer than two types hold.
    """
    names, member = np.unique(types, return_inverse=True)
    classes = int(labels.max()) + 1
    if len(names) < classes:
        return None
    share = np.bincount(labels, minlength=classes) / len(labels)
    wanted = np.repeat(np.arange(classes), np.maximum(1, np.round(share * len(names)).astype(int)))
    wanted = np.resize(wanted, len(names))
    return np.stack([rng.permutation(wanted)[member] for _ in range(n)], axis=1)
