"""Which features carry a concept: held-out scores beside probes, and what shuffled labels reach."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class FeatureConcept(Result):
    """Every feature as a detector of one of two sets of texts.

    Of a text counts the feature's `pool` over its tokens, in units of written length. AUC 0.5 is
    chance, below it the feature marks the negative texts. The table is sorted by |AUC - 0.5| on the
    training half; `auc_test` is of the other half. Control: the labels shuffled (within pairs)
    `len(null)` times, `null` the largest |AUC - 0.5| of any feature on all texts each time; a
    feature is beyond chance above the 95th percentile of these (`threshold`).
    """

    name: ClassVar[str] = "feature_concept"
    dictionary: str
    site: str
    concept: str
    about: tuple[str, str]  # what the positive and the negative texts are
    paired: bool
    pool: str
    n_texts: tuple[int, int, int]  # positive, negative, and of all of them in the test half
    n_firing: int  # features that fire on some text
    n_beyond: int
    threshold: float
    baselines: tuple[str, ...]  # of the rows of `baseline_*`
    neuron: str  # site of the best neuron of that layer, "" without neurons
    texts: tuple[str, ...]  # their beginnings, positive first
    named: tuple[tuple[int, str], ...]  # (feature, label) of those in the table that have one
    member: np.ndarray  # [text] bool
    test: np.ndarray  # [text] bool, in the test half
    auc: np.ndarray  # [feature] on all texts
    null: np.ndarray  # [shuffle]
    feature: np.ndarray  # [k] the table
    auc_train: np.ndarray  # [k]
    auc_test: np.ndarray  # [k]
    auc_low: np.ndarray  # [k] 95 % interval of auc_test
    auc_high: np.ndarray  # [k]
    p: np.ndarray  # [k] share of shuffles in which some feature does as well
    beyond: np.ndarray  # [k] bool
    separation: np.ndarray  # [k] P(fires | positive) - P(fires | negative), test half
    difference: np.ndarray  # [k] of means, test half, units of written length
    t: np.ndarray  # [k] Welch's t, test half
    values: np.ndarray  # [k, text] pooled values
    baseline_auc: np.ndarray  # [baseline] test half, of what was found on the training half
    baseline_low: np.ndarray  # [baseline]
    baseline_high: np.ndarray  # [baseline]
    sparse_k: np.ndarray  # [n] features of a sparse probe
    sparse_accuracy: np.ndarray  # [n] test half
    random_accuracy: np.ndarray  # [n] of as many firing features drawn at random, mean of draws
    dense_accuracy: float  # a probe on everything the dictionary reads
    majority: float  # accuracy of always saying the more common side

    def to_frame(self) -> "pd.DataFrame":
        """The table, features first and the baselines behind them."""
        import pandas as pd

        labels = dict(self.named)
        rows = pd.DataFrame(
            {
                "what": [f"feature {one}" for one in self.feature.tolist()],
                "label": [labels.get(one, "") for one in self.feature.tolist()],
                "auc_train": self.auc_train,
                "auc_test": self.auc_test,
                "low": self.auc_low,
                "high": self.auc_high,
                "p": self.p,
                "beyond_chance": self.beyond,
                "separation": self.separation,
                "difference": self.difference,
                "t": self.t,
            }
        )
        others = pd.DataFrame(
            {
                "what": self.baselines,
                "auc_test": self.baseline_auc,
                "low": self.baseline_low,
                "high": self.baseline_high,
            }
        )
        return pd.concat([rows, others], ignore_index=True)
