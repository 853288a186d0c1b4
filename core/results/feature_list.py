"""A page of features, sorted and filtered: what a card of each shows."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class FeatureList(Result):
    """One row per card. Activations are the dictionary's own; times `lengths` what is written.

    A label's score is its F1 on documents it was not chosen on. Control: `label_chance`, the 99th
    percentile of the same score for features whose firings were moved to other places in the
    text. For "fires on a token": `fires_share` beside `density`, the share of all tokens.
    """

    name: ClassVar[str] = "feature_list"
    dictionary: str
    site: str
    corpus: str
    gallery: str
    share: float  # of the text that was read: below 1 while the gallery grows
    n_tokens: int
    n_features: int
    total: int  # features that were found, on all pages
    offset: int
    sort: str
    sort_words: str
    descending: bool
    asked: str  # the filters in words, "" for none
    fires_on: str
    fires_from: str  # what `fires_share` was counted in: "every token", "listed contexts" or ""
    n_fires_on: int  # occurrences of that token
    features: tuple[int, ...]  # [card]
    sites: tuple[str, ...]  # [card] addresses
    label: tuple[str, ...]  # [card], "" for none
    label_by: tuple[str, ...]
    badges: tuple[tuple[str, ...], ...]  # [card]
    tokens: tuple[tuple[str, ...], ...]  # [card] most common among its peaks
    lens: tuple[tuple[str, ...], ...]  # [card] first lens tokens, () where there is no lens
    peaks: tuple[tuple[tuple[str, ...], ...], ...]  # [card][peak][token] pieces around it
    peak_at: tuple[tuple[int, ...], ...]  # [card][peak] which of the pieces it is
    peak_context: tuple[tuple[int, ...], ...]  # [card][peak]
    peak_value: np.ndarray  # [card, peak] activation, NaN where there are fewer
    label_score: np.ndarray  # [card] NaN: no label, or nobody has tested it
    label_chance: np.ndarray  # [card] NaN: not known
    density: np.ndarray  # [card]
    max_activation: np.ndarray
    mean_activation: np.ndarray
    contribution: np.ndarray
    cosine: np.ndarray
    drift: np.ndarray  # doublings of density from half A to half B
    lengths: np.ndarray
    fires_share: np.ndarray  # [card] of the token's occurrences; NaN where none was asked for
    spark: np.ndarray  # [card, bin] firings by quarter octave, the last bin holds the largest

    def to_frame(self) -> "pd.DataFrame":
        """One row per card."""
        import pandas as pd

        one = {name: array for name, array in self.arrays().items() if array.ndim == 1}
        return pd.DataFrame(
            {
                "site": self.sites,
                "label": self.label,
                **one,
                "badges": [", ".join(row) for row in self.badges],
                "tokens": [" ".join(row) for row in self.tokens],
                "lens": [" ".join(row) for row in self.lens],
                "peak": ["".join(row[0]) if row else "" for row in self.peaks],
            }
        )
