"""Where and when a concept can be read: every layer of every checkpoint, beside shuffled labels."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class FeatureEmergence(Result):
    """The best detector of one of two sets of texts in every layer of every checkpoint.

    Chosen on half of the texts, `auc` is of the other half, turned so that above 0.5 is right.
    Control: the labels shuffled (within pairs), chosen and tested the same way; `chance` is the
    95th percentile. A cell shows the concept when its AUC is at least `least` and above `chance`.
    NaN: no such layer, or nothing of that kind in it.
    """

    name: ClassVar[str] = "feature_emergence"
    concept: str
    about: tuple[str, str]  # what the positive and the negative texts are
    paired: bool
    by: str  # "neurons", "directions" or "features"
    pool: str
    least: float
    n_texts: tuple[int, int, int]  # positive, negative, and of all of them in the test half
    n_shuffles: int
    checkpoints: tuple[str, ...]  # in the order given, the model asked last
    dictionaries: tuple[tuple[str, ...], ...]  # [checkpoint][layer], "" without one
    auc: np.ndarray  # [checkpoint, layer] held out
    chance: np.ndarray  # [checkpoint, layer] what shuffled labels reach in 1 of 20
    unit: np.ndarray  # [checkpoint, layer] the neuron or feature, -1 for a direction
    n_units: np.ndarray  # [checkpoint, layer] how many were tried
    n_beyond: np.ndarray  # [checkpoint, layer] beyond the largest of all under shuffled labels

    @property
    def excess(self) -> np.ndarray:
        """AUC above chance, [checkpoint, layer]."""
        found: np.ndarray = self.auc - self.chance
        return found

    @property
    def shown(self) -> np.ndarray:
        """Cells that show the concept, [checkpoint, layer] bool."""
        found: np.ndarray = (self.auc >= self.least) & (self.excess > 0)  # NaN is False
        return found

    @property
    def first(self) -> tuple[int, int] | None:
        """(checkpoint, layer) at which the concept appears first; None where it never does."""
        when, where = np.nonzero(self.shown)
        return (int(when[0]), int(where[0])) if len(when) else None

    def to_frame(self) -> "pd.DataFrame":
        """One row a cell."""
        import pandas as pd

        checkpoint, layer = np.indices(self.auc.shape).reshape(2, -1)
        books = [name for row in self.dictionaries for name in row]
        return pd.DataFrame(
            {
                "checkpoint": [self.checkpoints[number] for number in checkpoint],
                "layer": layer,
                "auc": self.auc.reshape(-1),
                "chance": self.chance.reshape(-1),
                "shown": self.shown.reshape(-1),
                "unit": self.unit.reshape(-1),
                "dictionary": books,
                "n_units": self.n_units.reshape(-1),
                "n_beyond": self.n_beyond.reshape(-1),
            }
        )
