"""One neuron on a corpus: the texts where it does most, least, and something in between."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class NeuronTexts(Result):
    """Contexts with the activation of every token; one row per shown context, in groups.

    Groups, in this order: "top" and "bottom" (largest and smallest activation, best first),
    "+5" ... "+1" and "-5" ... "-1" (contexts whose peak lies in that fifth of the range from 0 to
    the largest or the smallest activation), "sample" (a random token of the corpus each).
    """

    name: ClassVar[str] = "neuron_texts"
    site: str
    corpus: str
    n_tokens: int
    n_contexts: int
    sites: tuple[str, ...]  # of the changes in place
    group: tuple[str, ...]  # of each shown context
    tokens: tuple[tuple[str, ...], ...]  # [shown][token]
    special: tuple[tuple[bool, ...], ...]  # [shown][token] counted by no statistic
    largest: float
    smallest: float
    p999: float
    mean: float
    density: float  # share of tokens above a tenth of the largest
    density_negative: float  # share of tokens below a tenth of the smallest
    top_piece: str  # the token most common among the `n_listed` largest peaks
    top_share: float  # its share, 0 to 1, NaN when nothing lies above zero
    n_listed: int
    random_share: tuple[float, float]  # the same for random tokens, mean and 99th percentile
    activation: np.ndarray  # [shown, token] float32, NaN behind the end of a text
    context: np.ndarray  # [shown] number of the context in the corpus
    document: np.ndarray  # [shown] number of its document
    position: np.ndarray  # [shown] the token this context is shown for
    peak: np.ndarray  # [shown] activation there
    edges: np.ndarray  # [bin + 1] of the histogram, activation units
    counts: np.ndarray  # [bin] tokens, interpolated from quarter octaves
    band_share: np.ndarray  # [2, 5] of the values above / below zero: share in each fifth
    band_sum: np.ndarray  # [2, 5] share of their sum

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
                "text": ["".join(tokens) for tokens in self.tokens],
            }
        )
