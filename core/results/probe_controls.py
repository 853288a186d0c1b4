"""What a probe needs at every layer: texts, bits, dimensions."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ProbeControls(Result):
    """Row 0 of every layer axis is what enters the first block, row l what leaves block l - 1.

    AUCs are of held-out texts, means over folds. Control of each: the same on shuffled labels;
    of dimensions also as many random ones.
    """

    name: ClassVar[str] = "probe_controls"
    concept: str
    about: str
    source: str
    positive: str  # the class that counts
    negative: str
    position: str
    c: float
    seed: int
    sites: tuple[str, ...]
    grouped: bool
    n_texts: int
    n_positive: int
    n_groups: int
    n_folds: int
    n_shuffles: int
    n_few_shuffles: int  # of sizes and dimensions
    n_orders: int
    penalties: tuple[float, ...]  # inverse; the code takes the one that makes it shortest
    notes: tuple[str, ...]
    size: np.ndarray  # [size] texts learned from, the last all of a fold
    size_auc: np.ndarray  # [size, layer] mean over orders
    size_auc_low: np.ndarray  # 95 %, groups drawn again
    size_auc_high: np.ndarray
    control_size_auc: np.ndarray  # [shuffle, size, layer]
    block: np.ndarray  # [block] texts before its end, of the first order
    bits: np.ndarray  # [order, layer] of the online code, a text; 1 says nothing was learned
    control_bits: np.ndarray  # [shuffle, layer]
    entropy: np.ndarray  # [1] bits a text when only the share of the classes is known
    dimension: np.ndarray  # [k] leading principal components that are kept
    dimension_auc: np.ndarray  # [k, layer]
    random_dimension_auc: np.ndarray  # [k, layer] as many random directions
    control_dimension_auc: np.ndarray  # [shuffle, k, layer]
    chance_auc: np.ndarray  # [layer] what 1 of 20 shuffles reaches with all texts of a fold

    @property
    def n_layers(self) -> int:
        """Blocks; the curves have one row more."""
        return len(self.sites) - 1

    @property
    def best(self) -> int:
        """The row whose labels take the fewest bits; of equals the earliest."""
        return int(self.bits.mean(axis=0).argmin())

    @property
    def compression(self) -> np.ndarray:
        """[layer] one bit a text over the bits of the code."""
        return np.asarray(1 / self.bits.mean(axis=0))

    def few(self, layer: int, share: float = 0.95) -> int | None:
        """The least number of principal components with this share of the way from 0.5 to the
        highest AUC; None where nothing is read beyond shuffled labels."""
        curve = self.dimension_auc[:, layer]
        if self.size_auc_low[-1, layer] <= self.chance_auc[layer]:
            return None
        return int(self.dimension[(curve >= 0.5 + share * (curve.max() - 0.5)).argmax()])

    def enough(self, layer: int, share: float = 0.95) -> int | None:
        """The least number of texts with this share of the way from 0.5 to the AUC of all; None
        where all of them read nothing beyond shuffled labels."""
        curve = self.size_auc[:, layer]
        if self.size_auc_low[-1, layer] <= self.chance_auc[layer]:
            return None
        return int(self.size[(curve >= 0.5 + share * (curve[-1] - 0.5)).argmax()])

    def to_frame(self) -> "pd.DataFrame":
        """One row a layer."""
        import pandas as pd

        return pd.DataFrame(
            {
                "layer": np.arange(self.n_layers + 1),
                "auc": self.size_auc[-1],
                "bits": self.bits.mean(axis=0),
                "shuffled_bits": self.control_bits.mean(axis=0),
                "compression": self.compression,
                "texts_for_95_percent": [self.enough(n) for n in range(self.n_layers + 1)],
                "dimensions_for_95_percent": [self.few(n) for n in range(self.n_layers + 1)],
                "chance_auc": self.chance_auc,
            }
        )
