"""Probes learned on one labelled set and read on another, at one layer and at another."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from core.results.base import Result


@dataclass(frozen=True)
class Transfer(Result):
    """Row 0 of every layer axis is what enters the first block, row l what leaves block l - 1.

    On the diagonal of [train, test] texts are held out with their groups; off it the probe has
    learned from all texts of one set and is asked about all of the other. Below 0.5 it turns
    round. Sets of one topic stand together.
    """

    name: ClassVar[str] = "transfer"
    sets: tuple[str, ...]
    topics: tuple[str, ...]  # [set]
    positives: tuple[str, ...]  # [set] the class that counts
    negatives: tuple[str, ...]
    positions: tuple[str, ...]
    n_texts: tuple[int, ...]
    n_groups: tuple[int, ...]
    method: str
    c: float
    seed: int
    n_shuffles: int
    n_layer_shuffles: int
    sites: tuple[str, ...]  # [layer]
    notes: tuple[str, ...]
    auc: np.ndarray  # [train, test, layer]
    auc_low: np.ndarray  # 95 %, groups of the test set drawn again
    auc_high: np.ndarray
    accuracy: np.ndarray  # [train, test, layer] every set centred by its own mean
    accuracy_plain: np.ndarray  # the same at the training set's threshold as it is
    control_auc: np.ndarray  # [shuffle, train, test, layer] labels of the training set shuffled
    others_auc: np.ndarray  # [test, layer] learned from all other sets together, each centred
    cosine: np.ndarray  # [layer, set, set] between the directions
    layer_auc: np.ndarray  # [set, train layer, test layer] held out
    control_layer_auc: np.ndarray  # [shuffle, set, train layer, test layer]

    @property
    def best_layer(self) -> int:
        """The row at which the sets are best read on their own held-out texts, on average."""
        own = np.einsum("ssl->l", self.auc) / len(self.sets)
        return int(own.argmax())

    def chance(self, train: int, test: int, layer: int) -> tuple[float, float]:
        """Where 90 % of the shuffles lie."""
        low, high = np.quantile(self.control_auc[:, train, test, layer], (0.05, 0.95))
        return float(low), float(high)

    def beyond(self, layer: int) -> np.ndarray:
        """[train, test] 1 where a probe reads a set beyond 95 of 100 shuffles and its own interval
        does not hold 0.5, -1 where it is turned round as far, 0 where neither."""
        low, high = np.quantile(self.control_auc[..., layer], (0.05, 0.95), axis=0)
        here = self.auc[..., layer]
        up = (here > high) & (self.auc_low[..., layer] > 0.5)
        down = (here < low) & (self.auc_high[..., layer] < 0.5)
        found: np.ndarray = up.astype(int) - down.astype(int)
        return found
