"""What a gallery that was made before knows of features: maxima, densities, labels."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from core.dictionaries.sparse import SparseDict
from core.galleries import labels, layout
from core.galleries.reading import FeatureGallery, read
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
    """What is known without a new pass over a corpus: labels (those that were tested and failed
    left out), and the numbers of the gallery of that key; without a key, of the one made last.
    """
    fingerprint = layout.dictionary_fingerprint(dictionary)
    texts = {
        feature: label.text
        for feature, label in labels.of(dictionary.about.path, fingerprint).items()
        if label.text and not label.score < WEAK
    }
    found = _gallery(loaded, fingerprint, gallery)
    if found is None:
        return Known(labels=texts)
    return Known(found.manifest.corpus, found.n_tokens, found.max, found.density, texts)


def _gallery(loaded: Loaded, fingerprint: str, key: str) -> FeatureGallery | None:
    held: dict[object, FeatureGallery] = loaded.memo.get("feature_galleries", {})
    shipped: dict[object, FeatureGallery] = loaded.memo.get("shipped_galleries", {})
    for one in reversed([*shipped.values(), *held.values()]):
        own = one.manifest
        if own.dictionary_fingerprint == fingerprint and (
            one.key == key if key else not own.changes
        ):
            return one
    if not key or not key.isalnum() or not (layout.root() / key).is_dir():
        return None
    try:
        found = read(layout.root() / key)
    except Error:
        return None
    return found if found.manifest.dictionary_fingerprint == fingerprint else None
