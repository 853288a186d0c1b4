"""One feature: its numbers, and the texts where it fires at every height and where it does not."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class FeatureCard(Result):
    """A feature on a corpus; one row per shown context, in groups.

    Groups, in this order: "top" (largest first), "+5" ... "+1" (contexts whose peak lies in that
    fifth of the range up to the largest), "importance" (firings drawn by value), "sample" (firings
    drawn evenly), "silent" (peaks of the features nearest to this one where it does not fire).
    Values are in units of written length; divided by `length` they are activations. Controls:
    `random_density` and `random_largest` of random directions in the place of the dictionary's,
    `random_share` of random tokens.
    """

    name: ClassVar[str] = "feature_card"
    dictionary: str
    feature: int
    site: str
    corpus: str
    gallery: str  # its key
    n_features: int
    n_tokens: int
    n_contexts: int
    window: int
    sites: tuple[str, ...]  # of the changes in place
    label: str  # "" without one
    label_score: float  # F1 on documents it was not chosen on, NaN: not tested
    label_chance: float
    label_by: str
    badges: tuple[str, ...]
    duplicate: int  # a feature that writes and fires nearly the same, -1 without one
    duplicate_known: bool  # False: its firings could not be compared
    n_fires: int
    density: float
    largest: float
    mean_active: float  # where it fires, NaN where it never does
    length: float  # of the decoder row
    cosine: float  # of encoder and decoder, NaN where widths differ
    contribution: float  # E[f^2] |row|^2 over the variance of what is read
    random_density: tuple[float, float]  # median and 99th percentile
    random_largest: tuple[float, float]
    half_density: tuple[float, float]  # of halves A and B of the documents
    half_mean: tuple[float, float]  # mean where it fires
    top_piece: str  # the token most common among the `n_listed` largest peaks, "" without
    top_share: float
    n_listed: int
    random_share: tuple[float, float]  # the same for random tokens, mean and 99th percentile
    group: tuple[str, ...]  # of each shown context
    of_feature: tuple[int, ...]  # whose peak it is: the feature itself, or a near one of "silent"
    tokens: tuple[tuple[str, ...], ...]  # [shown][token]
    special: tuple[tuple[bool, ...], ...]  # [shown][token] counted by no statistic
    activation: np.ndarray  # [shown, token] float32, NaN behind the end of a text
    context: np.ndarray  # [shown] number of the context in the corpus
    document: np.ndarray  # [shown]
    position: np.ndarray  # [shown] the token this context is shown for
    peak: np.ndarray  # [shown] value there
    band_share: np.ndarray  # [5] share of the firings in each fifth of (0, largest]
    band_sum: np.ndarray  # [5] share of summed activation
    edges: np.ndarray  # [bin + 1] linear, written length
    counts: np.ndarray  # [bin] firings, interpolated from quarter octaves
    log_edges: np.ndarray  # [octave bin + 1] quarter octaves
    log_counts: np.ndarray  # [octave bin] firings, exact
    by_position: np.ndarray  # [sixteenth of the window] share of the tokens there it fires on

    def to_frame(self) -> "pd.DataFrame":
        """One row per shown context: group, peak, its token and the text."""
        import pandas as pd

        at = self.position.tolist()
        return pd.DataFrame(
            {
                "group": self.group,
                "peak": self.peak,
                "token": [tokens[p] for tokens, p in zip(self.tokens, at, strict=True)],
                "position": self.position,
                "context": self.context,
                "of_feature": self.of_feature,
                "text": ["".join(tokens) for tokens in self.tokens],
            }
        )
