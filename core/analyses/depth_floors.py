"""What can be read off without a model: the largest class, the words, the token."""

import warnings
from collections.abc import Sequence

import numpy as np

from core.analyses import probe_scores as scores


def floors(
    texts: Sequence[str],
    types: Sequence[str] | None,
    labels: np.ndarray,
    fold: np.ndarray,
    n_classes: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Accuracy [kind] and AUC [kind], means over folds, of: the largest class, a logistic
    regression on which words a text holds (lower case), and one on the token at the position."""
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.preprocessing import OneHotEncoder

    found = [(_largest(labels, fold), 0.5)]
    words = CountVectorizer(binary=True, token_pattern=r"(?u)\w+|[^\w\s]").fit_transform(texts)
    features = [words]
    if types is not None:
        features.append(OneHotEncoder().fit_transform(np.array(types, dtype=object)[:, None]))
    for each in features:
        margin = _margins(each, labels, fold, n_classes)
        right = (scores.predicted(margin) == labels).astype(float)
        accuracy = scores.fold_means(right, fold, np.ones((1, len(labels))))
        found.append((float(accuracy[0]), float(np.nanmean(scores.auc(margin, labels, fold)))))
    found += [(float("nan"), float("nan"))] * (3 - len(found))
    accuracies, aucs = zip(*found, strict=True)
    return np.array(accuracies), np.array(aucs)


def _largest(labels: np.ndarray, fold: np.ndarray) -> float:
    """Accuracy of the largest class of the training texts."""
    right = np.zeros(len(labels))
    for number in range(int(fold.max()) + 1):
        here = fold == number
        right[here] = labels[here] == np.bincount(labels[~here]).argmax()
    return float(scores.fold_means(right, fold, np.ones((1, len(labels))))[0])


def _margins(x: object, labels: np.ndarray, fold: np.ndarray, n_classes: int) -> np.ndarray:
    """Margins of held-out texts, [text, output]."""
    from sklearn.linear_model import LogisticRegression

    found = np.zeros((len(labels), 1 if n_classes == 2 else n_classes))
    for number in range(int(fold.max()) + 1):
        here = fold == number
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = LogisticRegression(max_iter=300).fit(x[~here], labels[~here])  # type: ignore[index]
        margin = model.decision_function(x[here])  # type: ignore[index]
        found[here] = margin[:, None] if margin.ndim == 1 else margin
    return found
