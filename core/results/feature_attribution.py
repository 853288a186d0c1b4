"""Which features made this prediction: what each adds at each token, and whether that is so."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class FeatureAttribution(Result):
    """A score at one token as a sum over features and tokens, to first order.

    attribution of a feature at a token: its activation (less that in the base text) times slope .
    decoder row. Units: logits (measure "logit"), nats (measure "log p"). features at all tokens +
    error + bias + rest = value, exactly: `error` is what the dictionary misses, `bias` what it
    writes without any feature, `rest` what is not linear in what the site holds.

    Control: the same activations with random decoder rows of the same lengths. `ablated` is what
    the score loses when a feature is really taken out; `random_ablated` when a random vector of
    the same length is, at the same tokens.
    """

    name: ClassVar[str] = "feature_attribution"
    dictionary: str
    site: str
    tokens: tuple[str, ...]
    counted: tuple[bool, ...]  # tokens whose features count; the others are part of the error
    position: int
    measure: str  # "logit" or "log p"
    answer: str
    against: str  # "" the vocabulary's mean; empty with "log p"
    base: str  # the other text, "" where features are compared with none
    n_points: int  # slopes averaged between the base and here; 1 is the plain gradient
    value: float  # of the score
    without: float  # of the score with every feature as in the base
    n_active: int  # features active on a counted token
    others: float  # all features that are not listed
    rest: float
    n_random: int
    random_largest: float  # mean over the random dictionaries of their largest |total|
    correlation: float  # of `total` with `ablated`; NaN for fewer than three
    feature: np.ndarray  # [listed] int64, by falling total
    activation: np.ndarray  # [listed, token] in units of the written length
    attribution: np.ndarray  # [listed, token]
    by_token: np.ndarray  # [token] all features together
    error: np.ndarray  # [token]
    bias: np.ndarray  # [token]
    verified: np.ndarray  # [verified] int64, features taken out one by one
    predicted: np.ndarray  # [verified] their totals
    ablated: np.ndarray  # [verified]
    random_ablated: np.ndarray  # [verified]

    @property
    def total(self) -> np.ndarray:
        """[listed] over all tokens."""
        total: np.ndarray = self.attribution.sum(axis=1)
        return total

    @property
    def remainder(self) -> float:
        """The value less the sum of all parts: rounding, if everything is right."""
        parts = self.by_token.sum() + self.error.sum() + self.bias.sum() + self.rest
        return float(self.value - parts)

    def to_frame(self) -> "pd.DataFrame":
        """One row per listed feature and token where it is active."""
        import pandas as pd

        row, token = np.nonzero(self.activation)
        return pd.DataFrame(
            {
                "feature": self.feature[row],
                "position": token,
                "token": [self.tokens[place] for place in token],
                "activation": self.activation[row, token],
                "attribution": self.attribution[row, token],
            }
        )
