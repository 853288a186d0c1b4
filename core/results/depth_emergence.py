"""When in training, where, and at what size a concept becomes readable."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class DepthEmergence(Result):
    """A row is one checkpoint of one model, the model itself the last of its rows; a column one
    state of the stream, the embedding first. Scores are of held-out texts; NaN: no such layer.

    Controls in every row: shuffled labels, words alone. A cell counts where it is two standard
    errors above the floor, and above what the best of all cells of its model reaches with shuffled
    labels in 1 of 20. A checkpoint before the first step is a control of its own.
    """

    name: ClassVar[str] = "depth_emergence"
    concept: str
    about: str
    source: str
    positive: str
    negative: str
    seed: int
    grouped: bool
    n_texts: int
    n_groups: int
    n_folds: int
    n_shuffles: int
    models: tuple[str, ...]  # in the order of their rows
    parameters: tuple[int, ...]  # [model]
    checkpoints: tuple[str, ...]  # [row]
    notes: tuple[str, ...]
    model: np.ndarray  # [row] number of its model
    n_layers: np.ndarray  # [row] blocks
    auc: np.ndarray  # [row, layer]
    auc_low: np.ndarray  # 95 %, groups drawn again
    auc_high: np.ndarray
    accuracy: np.ndarray
    control_auc: np.ndarray  # [shuffle, row, layer]
    floor_auc: np.ndarray  # [row] the most of words alone, the token alone, 0.5

    @property
    def most(self) -> np.ndarray:
        """[model] what the best of all its cells reaches with shuffled labels in 1 of 20."""
        best = [
            np.quantile(np.nanmax(self.control_auc[:, self.rows(one)], axis=(1, 2)), 0.95)
            for one in range(len(self.models))
        ]
        return np.array(best)

    @property
    def shown(self) -> np.ndarray:
        """[row, layer] bool: above floor and chance, also at the lower bound."""
        level = np.maximum(self.most[self.model], self.floor_auc)[:, None]
        found: np.ndarray = (self.auc > level) & (self.auc_low > self.floor_auc[:, None])
        return found

    @property
    def peak(self) -> np.ndarray:
        """[row] the layer with the highest AUC; of equals the first."""
        found: np.ndarray = np.nan_to_num(self.auc, nan=-1).argmax(axis=1)
        return found

    def rows(self, model: int) -> np.ndarray:
        """The rows of a model, in the order of its training."""
        return np.flatnonzero(self.model == model)

    def first(self, model: int) -> tuple[int, int] | None:
        """(row, layer) where a model's checkpoints first show the concept, the layer the first
        that does; None where none does."""
        for row in self.rows(model):
            layers = np.flatnonzero(self.shown[row])
            if len(layers):
                return int(row), int(layers[0])
        return None

    @property
    def returned(self) -> np.ndarray:
        """[row, layer] bool: shown here and at an earlier checkpoint, and not at one between."""
        found = np.zeros(self.auc.shape, dtype=bool)
        for model in range(len(self.models)):
            rows = self.rows(model)
            here = self.shown[rows]
            before = np.logical_or.accumulate(here, axis=0)
            lost = np.logical_or.accumulate(before & ~here, axis=0)
            found[rows] = here & lost
        return found

    @property
    def steps(self) -> np.ndarray:
        """[row] the number at the end of the checkpoint's name; NaN where there is none."""
        numbers = [re.search(r"(\d+)\D*$", name) for name in self.checkpoints]
        return np.array([float(one.group(1)) if one else np.nan for one in numbers])

    def to_frame(self) -> "pd.DataFrame":
        """One row a cell."""
        import pandas as pd

        row, layer = np.nonzero(np.isfinite(self.auc))
        low, high = np.quantile(self.control_auc[:, row, layer], (0.05, 0.95), axis=0)
        return pd.DataFrame(
            {
                "model": [self.models[self.model[one]] for one in row],
                "checkpoint": [self.checkpoints[one] for one in row],
                "state": layer,
                "depth": layer / np.maximum(1, self.n_layers[row]),
                "auc": self.auc[row, layer],
                "auc_low": self.auc_low[row, layer],
                "auc_high": self.auc_high[row, layer],
                "accuracy": self.accuracy[row, layer],
                "shuffled_5": low,
                "shuffled_95": high,
                "floor": self.floor_auc[row],
                "shown": self.shown[row, layer],
                "returned": self.returned[row, layer],
            }
        )
