"""Depth curves of one concept on changed texts and coarser weights."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class DepthNoise(Result):
    """Row 0 of every layer axis is what enters the first block, row l what leaves block l - 1.

    The first condition is "clean", the second the same in other folds: what of a shift is chance.
    AUCs are of held-out texts; `kept_auc` learned on clean texts or weights and asked about the
    changed ones. A half-rise is where half of the way from the highest floor to the peak is done.
    """

    name: ClassVar[str] = "depth_noise"
    concept: str
    about: str
    source: str
    positive: str
    negative: str
    position: str
    c: float
    seed: int
    sites: tuple[str, ...]
    conditions: tuple[str, ...]
    points: tuple[str, ...]  # "half_rise" in layers, "peak" AUC
    grouped: bool
    n_texts: int
    n_positive: int
    n_groups: int
    n_folds: int
    n_shuffles: int
    notes: tuple[str, ...]
    floor_auc: np.ndarray  # [kind] largest class, words alone, token alone; clean texts
    auc: np.ndarray  # [condition, layer] learned and asked under the condition
    auc_low: np.ndarray  # 95 %, groups drawn again
    auc_high: np.ndarray
    kept_auc: np.ndarray  # [condition, layer] learned on what is clean
    moved: np.ndarray  # [condition, layer] distance to the clean states over their spread, NaN
    # where these are all the same
    control_auc: np.ndarray  # [shuffle, layer] labels shuffled, clean
    point: np.ndarray  # [condition, point]
    shift: np.ndarray  # [condition, point] against clean
    shift_low: np.ndarray  # 5 and 95 % over the same draws of groups; NaN where mostly unread
    shift_high: np.ndarray

    @property
    def n_layers(self) -> int:
        """Blocks; the curves have one row more."""
        return len(self.sites) - 1

    @property
    def readable(self) -> bool:
        """Is the clean curve above its floors and above the best layers of shuffled labels?"""
        best = int(self.auc[0].argmax())
        most = float(np.quantile(self.control_auc.max(axis=1), 0.95))
        return bool(self.auc_low[0, best] > max(most, float(np.nanmax(self.floor_auc))))

    def delayed(self, condition: int) -> bool:
        """Does the rise come later, beyond its interval and what other folds make of it?"""
        chance = max(0.0, float(np.nan_to_num(self.shift_high[1, 0])))
        low = self.shift_low[condition, 0]
        return bool(np.isfinite(low) and low > 0 and self.shift[condition, 0] > chance)

    def lowered(self, condition: int) -> bool:
        """Is the peak lower, beyond its interval and what other folds make of it?"""
        chance = min(0.0, float(np.nan_to_num(self.shift_low[1, 1])))
        return bool(self.shift_high[condition, 1] < 0 and self.shift[condition, 1] < chance)

    def to_frame(self) -> "pd.DataFrame":
        """One row a condition."""
        import pandas as pd

        columns: dict[str, object] = {"condition": self.conditions}
        for number, name in enumerate(self.points):
            columns[name] = self.point[:, number]
            columns[f"{name}_shift"] = self.shift[:, number]
            columns[f"{name}_shift_5"] = self.shift_low[:, number]
            columns[f"{name}_shift_95"] = self.shift_high[:, number]
        columns["last_layer_auc"] = self.auc[:, -1]
        columns["last_layer_auc_learned_clean"] = self.kept_auc[:, -1]
        return pd.DataFrame(columns)
