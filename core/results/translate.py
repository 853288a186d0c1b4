"""A direction carried from one model into another through a linear map, and tested there."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Translate(Result):
    """Row l of [layer, ...] arrays is about `L{l}.resid_post` here and about the layer
    `counterpart[l]` of the other model there.

    AUC on items that the direction was not built from, in the other model unless it says `here`.
    Effects: how far adding a vector at the last token of negative texts moves the next-token
    log-probabilities the way the concept itself does, 1 is as far. Random directions lie where
    states of this model differ, have the direction's length, and go through the same map.
    """

    name: ClassVar[str] = "translate"
    models: tuple[str, str]
    same: bool
    concept: str
    source: str
    position: str
    stacks: tuple[str, str]
    n_positive: int
    n_negative: int
    n_map: int  # texts that the map was learned from, none of the concept's
    map_source: str
    n_tested: int  # negative texts that were steered
    strength: float
    seed: int
    notes: tuple[str, ...]
    raises: tuple[tuple[str, ...], ...]  # [layer][k] tokens the carried direction raises there
    lowers: tuple[tuple[str, ...], ...]
    counterpart: np.ndarray  # [layer]
    map_r2: np.ndarray  # [layer] held out
    map_at1: np.ndarray  # [layer]
    direction: np.ndarray  # [layer, d_model here] difference of means, as it is
    carried: np.ndarray  # [layer, d_model there] through the map
    own: np.ndarray  # [layer, d_model there] the other model's own
    cosine: np.ndarray  # [layer] of carried and own
    control_cosine: np.ndarray  # [layer, draw] random directions carried, and the own one
    auc_here: np.ndarray  # [layer]
    auc_own: np.ndarray  # [layer]
    auc_carried: np.ndarray  # [layer]
    auc_random: np.ndarray  # [layer, draw]
    auc_lost: np.ndarray  # [layer] carried by a map of texts paired at random
    effect_own: np.ndarray  # [layer]; NaN where the other model does not continue texts
    effect_carried: np.ndarray  # [layer]
    effect_random: np.ndarray  # [layer, draw]

    @property
    def best(self) -> int:
        """The layer whose carried direction separates held-out items best."""
        return int(np.nan_to_num(self.auc_carried, nan=-1.0).argmax())

    def chance(self, layer: int) -> float:
        """AUC below which 95 % of random directions stay, whichever way round."""
        return float(np.quantile(np.abs(self.auc_random[layer] - 0.5), 0.95) + 0.5)

    def to_frame(self) -> "pd.DataFrame":
        """One row per layer."""
        import pandas as pd

        return pd.DataFrame(
            {
                "layer": np.arange(len(self.counterpart)),
                "counterpart": self.counterpart,
                "map_r2": self.map_r2,
                "cosine": self.cosine,
                "control_cosine": np.abs(self.control_cosine).mean(axis=1),
                "auc_here": self.auc_here,
                "auc_carried": self.auc_carried,
                "auc_own": self.auc_own,
                "auc_random_95": [self.chance(i) for i in range(len(self.counterpart))],
                "auc_lost": self.auc_lost,
                "effect_carried": self.effect_carried,
                "effect_own": self.effect_own,
                "effect_random": self.effect_random.mean(axis=1),
            }
        )
