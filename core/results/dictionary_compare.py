"""Which features two dictionaries have in common."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd

SAME = 0.7  # from this likeness on two features are called the same


@dataclass(frozen=True)
class DictionaryCompare(Result):
    """Every feature of the first dictionary with its nearest in the second, and one to one.

    Likeness: cosine of decoder rows (one site), or correlation of activations on a text.
    Control, `chance`: random rows with the covariance of the first dictionary's own; for
    correlations its activations at shifted tokens.
    """

    name: ClassVar[str] = "dictionary_compare"
    dictionaries: tuple[str, str]
    models: tuple[str, str]
    sites: tuple[str, str]
    by: str  # "decoder", "encoder" or "firing"
    matching: str  # "hungarian", or "mutual" where there are too many features for it
    corpus: str  # "" for rows
    n_tokens: int
    mean: float  # of the one-to-one likeness
    share: float  # of the features compared: one-to-one likeness above 0.7
    nearest_share: float  # the same for the nearest, which several may share
    chance_mean: float  # of the nearest of the control
    chance_share: float
    feature: np.ndarray  # [compared] features of the first that can be compared
    nearest: np.ndarray  # [compared] the most alike of the second
    likeness: np.ndarray  # [compared] to the nearest
    partner: np.ndarray  # [compared] one to one, -1 for none
    partner_likeness: np.ndarray  # [compared] NaN for none
    mutual: np.ndarray  # [compared] bool: each is the other's nearest
    chance: np.ndarray  # [compared] likeness of the control's nearest
    reverse: np.ndarray  # [compared of the second] likeness to the nearest of the first

    @property
    def seen_in_both(self) -> np.ndarray:
        """[compared] bool: the badge of a card."""
        found: np.ndarray = self.likeness > SAME
        return found

    def to_frame(self) -> "pd.DataFrame":
        """One row per feature of the first."""
        import pandas as pd

        return pd.DataFrame(
            {
                "feature": self.feature,
                "nearest": self.nearest,
                "likeness": self.likeness,
                "partner": self.partner,
                "partner likeness": self.partner_likeness,
                "mutual": self.mutual,
                "seen in both": self.seen_in_both,
                "chance": self.chance,
            }
        )
