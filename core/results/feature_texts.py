"""Which features fire on a text, token by token, and what the dictionary leaves out of it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class FeatureTexts(Result):
    """The strongest features of every token of one or a few texts.

    Values are in units of written length (activation times the length of the decoder row).
    `error` is |y - y^|^2 / |y - mean|^2 of a token, y what the dictionary should give and mean its
    mean over `n_reference` tokens of the reference text: 0 is perfect, 1 as good as the mean.
    Control: `random_error`, the same activations given to features at random. Axes [text, token]
    are filled with NaN and -1 behind the end of a text.
    """

    name: ClassVar[str] = "feature_texts"
    dictionary: str
    site: str
    tokens: tuple[tuple[str, ...], ...]  # [text][token]
    counted: tuple[tuple[bool, ...], ...]  # [text][token] False: in no sum (special, first)
    sites: tuple[str, ...]  # of the changes in place
    followed: tuple[int, ...]  # the feature asked for and its nearest by decoder row, or ()
    named: tuple[tuple[int, str], ...]  # (feature, its label) of those here that have one
    corpus: str  # where the maxima are from, "" where none are known
    n_reference: int
    feature: np.ndarray  # [text, token, k] int32, strongest first
    value: np.ndarray  # [text, token, k]
    activation: np.ndarray  # [text, token, k] as the dictionary gives it
    share: np.ndarray  # [text, token, k] of the largest activation seen in the corpus
    l0: np.ndarray  # [text, token] int32, features that fire
    error: np.ndarray  # [text, token]
    random_error: np.ndarray  # [text, token]
    total_error: np.ndarray  # [text] sum of |y - y^|^2 over that of |y - mean|^2, counted tokens
    total_random_error: np.ndarray  # [text]
    heat: np.ndarray  # [followed, text, token] value of the followed features
    followed_cosine: np.ndarray  # [followed] of the decoder row with the first one's
    followed_largest: np.ndarray  # [followed] largest value seen in the corpus, NaN if unknown
    listed: np.ndarray  # [listed] features over all texts, largest value first
    listed_value: np.ndarray  # [listed] its largest value at a counted token
    listed_share: np.ndarray  # [listed]
    listed_text: np.ndarray  # [listed] where that is
    listed_token: np.ndarray  # [listed]
    listed_count: np.ndarray  # [listed] counted tokens it fires on

    def label(self, feature: int) -> str:
        """The label of a feature, "" without one."""
        return dict(self.named).get(int(feature), "")

    def to_frame(self) -> "pd.DataFrame":
        """One row per token and feature: text, position, token, feature, value, share, label."""
        import pandas as pd

        text, token, rank = np.nonzero(self.feature >= 0)
        found = self.feature[text, token, rank]
        return pd.DataFrame(
            {
                "text": text,
                "position": token,
                "token": [self.tokens[i][j] for i, j in zip(text, token, strict=True)],
                "feature": found,
                "value": self.value[text, token, rank],
                "share": self.share[text, token, rank],
                "l0": self.l0[text, token],
                "error": self.error[text, token],
                "label": [self.label(one) for one in found],
            }
        )
