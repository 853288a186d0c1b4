"""Is meaning in the states or made by the probe? One probe under other meanings of the words."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd

LEVEL = 0.05


@dataclass(frozen=True)
class MeaningControl(Result):
    """AUC of held-out texts by layer: labels under the real meaning of the words, and under others
    that follow from the words by the same rule. What a probe works out by itself it works out for
    all alike; the excess of the real meaning is what the states already hold.

    Row 0 is the embedding. Controls: shuffled labels, a probe of the words, fresh weights.
    """

    name: ClassVar[str] = "meaning_control"
    texts_name: str
    about: str
    classes: tuple[str, ...]
    others_names: tuple[str, ...]
    position: str
    seed: int
    sites: tuple[str, ...]  # [layer]
    grouped: bool
    n_texts: int
    n_groups: int
    n_folds: int
    n_shuffles: int
    notes: tuple[str, ...]
    auc: np.ndarray  # [layer] the real meaning
    auc_low: np.ndarray  # 95 %
    auc_high: np.ndarray
    other_auc: np.ndarray  # [meaning, layer]
    excess: np.ndarray  # [layer] AUC minus the mean of the others
    excess_low: np.ndarray  # 95 %, groups drawn again
    excess_high: np.ndarray
    other_excess: np.ndarray  # [meaning, layer] each other meaning above the mean of all the rest
    accuracy: np.ndarray  # [layer]
    other_accuracy: np.ndarray  # [meaning, layer]
    control_auc: np.ndarray  # [shuffle, layer]
    untrained_auc: np.ndarray  # [layer]; NaN where not asked for
    untrained_excess: np.ndarray  # [layer]
    agreement: np.ndarray  # [meaning] share of texts that are labelled as under the real one
    words_auc: np.ndarray  # [1 + meaning] a probe of which words a text holds
    nested: float  # excess at the layer that is best on the other folds
    nested_others: np.ndarray  # [meaning] the same for each other meaning against the rest

    @property
    def n_layers(self) -> int:
        return len(self.sites) - 1

    @property
    def best(self) -> int:
        """The layer with the largest excess."""
        return int(self.excess.argmax())

    @property
    def p(self) -> float:
        """How often some meaning, in its best layer, exceeds the rest as far as the real one."""
        reach = int((self.nested_others >= self.nested - 1e-12).sum())
        return (1 + reach) / (1 + len(self.nested_others))

    @property
    def held(self) -> bool:
        """Do the states hold the real meaning, beyond what any other meaning reaches?"""
        one_of_few = len(self.nested_others) < 1 / LEVEL - 1
        limit = 1 / (1 + len(self.nested_others)) + 1e-9 if one_of_few else LEVEL
        return bool(self.p <= limit and self.excess_low[self.best] > 0)

    def to_frame(self) -> "pd.DataFrame":
        """One row a layer."""
        import pandas as pd

        return pd.DataFrame(
            {
                "site": self.sites,
                "auc": self.auc,
                "auc_low": self.auc_low,
                "auc_high": self.auc_high,
                "other_meanings": self.other_auc.mean(axis=0),
                "other_meanings_most": self.other_auc.max(axis=0),
                "excess": self.excess,
                "excess_low": self.excess_low,
                "excess_high": self.excess_high,
                "shuffled": self.control_auc.mean(axis=0),
                "fresh_weights": self.untrained_auc,
                "fresh_weights_excess": self.untrained_excess,
            }
        )
