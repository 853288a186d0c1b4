"""What a gallery that was made before knows of features: maxima, densities, labels."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from core.analyses.feature_gallery import held_at
from core.dictionaries import findings
from core.dictionaries.sparse import SparseDict
from core.galleries import labels, layout
from core.galleries.reading import FeatureGallery
from core.models.loaded import Loaded
from core.results.feature_label import WEAK
from core.spec.errors import Error


@dataclass(frozen=True)
class Known:
    """Of one dictionary; empty where no gallery was made.

    highest, density [feature]; activations as the dictionary gives them
    """

    corpus: str = ""
    n_tokens: int = 0
    highest: np.ndarray | None = None
    density: np.ndarray | None = None
    labels: dict[int, str] = field(default_factory=dict)

    def labelled(self, features: Sequence[int]) -> tuple[tuple[int, str], ...]:
        """(feature, label) of those that have one."""
        return tuple((one, self.labels[one]) for one in features if one in self.labels)

    def share(self, features: np.ndarray, activation: np.ndarray) -> np.ndarray:
        """Activations as shares of the largest seen; NaN where nothing is known or was seen."""
        if self.highest is None:
            return np.full(features.shape, np.nan, "float32")
        most = np.where(features >= 0, self.highest[np.maximum(features, 0)], np.nan)
        share: np.ndarray = np.where(most > 0, activation / np.maximum(most, 1e-30), np.nan)
        return share.astype("float32")

    def largest(self, dictionary: SparseDict, features: Sequence[int]) -> np.ndarray:
        """Largest values seen in units of written length, [feature]; NaN where unknown."""
        if self.highest is None:
            return np.full(len(features), np.nan, "float32")
        lengths = dictionary.lengths.cpu().numpy()
        value: np.ndarray = (self.highest * lengths)[list(features)]
        return value.astype("float32")


def known(loaded: Loaded, dictionary: SparseDict, gallery: str = "") -> Known:
    """What is known without a new pass over a corpus: labels, and the numbers of the gallery of
    that key; without a key, of the one made last. Answers are stored under what they found here,
    see `core.dictionaries.findings`.
    """
    texts = named(dictionary)
    found = _gallery(loaded, dictionary, gallery)
    if found is None:
        return Known(labels=texts)
    return Known(found.manifest.corpus, found.n_tokens, found.max, found.density, texts)


def named(dictionary: SparseDict) -> dict[int, str]:
    """Labels by feature; those that were tested and failed are left out."""
    fingerprint = layout.dictionary_fingerprint(dictionary)
    return {
        feature: label.text
        for feature, label in labels.of(dictionary.about.path, fingerprint).items()
        if label.text and not label.score < WEAK
    }


def _gallery(loaded: Loaded, dictionary: SparseDict, key: str) -> FeatureGallery | None:
    path = Path(dictionary.about.path) if dictionary.about.path else None
    own = layout.dictionary_fingerprint(dictionary)
    folder = findings.gallery(loaded.fingerprint, own, path, key)
    if folder is None:
        return None
    try:
        return held_at(loaded, folder)
    except Error:
        return None
