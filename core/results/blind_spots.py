"""What one text or model has less of, or more, feature by feature."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class BlindSpots(Result):
    """Energy and prevalence of every feature on side A and side B.

    Energy: mean activation over all tokens times the length of the decoder row. Prevalence: share
    of contexts in which it fires. `change` = log2 of energy B over energy A, one average firing
    added on either side; beyond chance: its 95 % interval (contexts drawn again) is away from 0.
    Control: all contexts dealt to two sides of the same sizes at random.
    """

    name: ClassVar[str] = "blind_spots"
    dictionary: str
    site: str
    sides: tuple[str, str]  # what A and B are, in words
    n_tokens: tuple[int, int]
    n_contexts: tuple[int, int]
    paired: bool  # both sides are the same contexts
    n_beyond: int  # features beyond chance
    control_beyond: int  # of the control
    feature: np.ndarray  # [compared] those that fire often enough on the two sides together
    energy: np.ndarray  # [side, compared]
    prevalence: np.ndarray  # [side, compared]
    change: np.ndarray  # [compared] doublings
    low: np.ndarray  # [compared] 95 %
    high: np.ndarray  # [compared]
    control: np.ndarray  # [compared] change of the control

    @property
    def suppressed(self) -> np.ndarray:
        """Places of `feature` that B has less of beyond chance, surest first."""
        return self._ranked(-self.high)

    @property
    def exaggerated(self) -> np.ndarray:
        """Places of `feature` that B has more of beyond chance, surest first."""
        return self._ranked(self.low)

    def _ranked(self, sure: np.ndarray) -> np.ndarray:
        order = np.argsort(-sure, kind="stable")
        found: np.ndarray = order[sure[order] > 0]
        return found

    def to_frame(self) -> "pd.DataFrame":
        """One row per feature, the most suppressed first."""
        import pandas as pd

        frame = pd.DataFrame(
            {
                "feature": self.feature,
                "change": self.change,
                "low": self.low,
                "high": self.high,
                "energy A": self.energy[0],
                "energy B": self.energy[1],
                "prevalence A": self.prevalence[0],
                "prevalence B": self.prevalence[1],
                "control": self.control,
            }
        )
        return frame.sort_values("high", ignore_index=True)
