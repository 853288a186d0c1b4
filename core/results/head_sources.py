"""What one head takes from each token of a text, and what that says about the answer."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class HeadSources(Result):
    """One head at one token: where it looks, how much it fetches, whom that helps.

    `attribution` of a source token is weight x (value . reading): its part of what the head adds
    to the logit of `answer` against `against` (no token: the mean of the vocabulary), norms held;
    the parts add up to `whole`. Where the model has no plain path to the logits the reading is
    the score's slope (`kind` "gradient"). Control: the same for random tokens as the answer.
    """

    name: ClassVar[str] = "head_sources"
    site: str
    tokens: tuple[str, ...]
    special: tuple[bool, ...]
    position: int
    answer: str
    against: str
    kind: str  # "direct" or "gradient"
    why_not: str  # why there is no plain path to the logits, "" when there is
    n_random: int
    whole: float  # logit units, what the head adds in all
    weight: np.ndarray  # [key] attention, sums to 1
    size: np.ndarray  # [key] weight x length of what the value writes, stream units
    attribution: np.ndarray  # [key] logit units
    random_low: np.ndarray  # [key] 2.5 % of the attributions for random tokens, NaN without
    random_high: np.ndarray  # [key] 97.5 %

    @property
    def remainder(self) -> float:
        """The whole less its parts: rounding."""
        return self.whole - float(self.attribution.sum())

    def to_frame(self) -> "pd.DataFrame":
        """One row per source token."""
        import pandas as pd

        names = ("weight", "size", "attribution", "random_low", "random_high")
        columns = {name: getattr(self, name) for name in names}
        return pd.DataFrame({"token": self.tokens, **columns})
