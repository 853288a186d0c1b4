"""Four linear probes of one concept at every layer: what each reads, and which way it points."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from core.results.base import Result


@dataclass(frozen=True)
class ProbeFamily(Result):
    """Row 0 of every layer axis is what enters the first block, row l what leaves block l - 1.

    Scores are of held-out texts, means over folds. Controls: the same on shuffled labels, and
    random directions that only get their sign from the labels.
    """

    name: ClassVar[str] = "probe_family"
    concept: str
    about: str
    source: str
    positive: str  # the class that counts
    negative: str
    position: str
    seed: int
    c: float
    methods: tuple[str, ...]
    sites: tuple[str, ...]  # [layer] where a direction of that row can be added
    grouped: bool
    n_texts: int
    n_positive: int
    n_groups: int
    n_folds: int
    n_shuffles: int
    notes: tuple[str, ...]
    auc: np.ndarray  # [method, layer] 0 to 1
    auc_low: np.ndarray  # 95 %, groups drawn again
    auc_high: np.ndarray
    accuracy: np.ndarray  # [method, layer] at the probe's own threshold
    control_auc: np.ndarray  # [shuffle, method, layer]
    control_accuracy: np.ndarray  # [shuffle, method, layer]
    random_auc: np.ndarray  # [draw, layer]
    random_accuracy: np.ndarray  # [draw, layer]
    direction: np.ndarray  # [method, layer, d_model] of all texts, length 1, towards positive
    threshold: np.ndarray  # [method, layer] along the direction, in units of the stream
    gap: np.ndarray  # [method, layer] between the class means along it, in units of the stream
    cosine: np.ndarray  # [layer, method, method] between the directions of the methods
    control_cosine: np.ndarray  # the same on shuffled labels, mean
    layer_cosine: np.ndarray  # [method, layer, layer]
    fold_cosine: np.ndarray  # [method, layer] mean between the folds' directions and that of all

    @property
    def n_layers(self) -> int:
        """Blocks; the curves have one row more."""
        return len(self.sites) - 1

    def readable(self, method: int, layer: int) -> bool:
        """Does the probe beat 95 of 100 shuffles there, also at its lower bound?"""
        chance = np.quantile(self.control_auc[:, method, layer], 0.95)
        return bool(self.auc_low[method, layer] > chance)

    @property
    def best(self) -> tuple[int, int]:
        """(method, layer) of the highest AUC; of equals the earliest layer."""
        layer, method = divmod(int(self.auc.T.argmax()), len(self.methods))
        return method, layer
