"""Do words of one topic lie together, and do heads look from one to the other?"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Topics(Result):
    """attention: mean weight between two different words over the head's mean weight between words
    at the same distance, so 1 is what distance alone gives. cosine: of the words' states, centred;
    layer 0 is what enters the first block. Chance: topics of words dealt out anew.
    """

    name: ClassVar[str] = "topics"
    set_name: str
    source: str
    licence: str
    topics: tuple[str, ...]
    topic_size: tuple[int, ...]  # words used
    dropped: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    corpus: str  # "" for lists of words in random order
    examples: tuple[str, ...]  # some of the texts
    n_texts: int
    n_words: int  # words of which states were taken
    n_found: int  # different words in the texts
    n_pairs: int
    n_same: int  # of them of one topic
    n_bins: int  # distances
    n_shuffles: int
    prepare: str
    contexts: tuple[str, ...]
    read: str
    seed: int
    stack: str
    sites: tuple[str, ...]  # [layer of states]
    cosine_same: np.ndarray  # [layer of states]
    cosine_different: np.ndarray
    cosine_chance: np.ndarray  # [shuffle, layer of states] same - different
    untrained_cosine: np.ndarray  # [layer of states] same - different of fresh weights, or NaN
    attention_same: np.ndarray  # [layer, head]
    attention_different: np.ndarray
    attention_chance: np.ndarray  # [shuffle, layer, head] same - different
    untrained_attention: np.ndarray  # [layer, head] same - different of fresh weights, or NaN
    weight: np.ndarray  # [layer, head] mean attention weight between words, 0 to 1

    @property
    def gap(self) -> np.ndarray:
        """[layer, head] what words of one topic get more than words of two."""
        found: np.ndarray = self.attention_same - self.attention_different
        return found

    @property
    def cosine_gap(self) -> np.ndarray:
        found: np.ndarray = self.cosine_same - self.cosine_different
        return found

    @property
    def z(self) -> np.ndarray:
        """[layer, head] the gap in standard deviations of the shuffles' gaps."""
        found: np.ndarray = self.gap / self._spread
        return found

    @property
    def beyond(self) -> np.ndarray:
        """[layer, head] 1 or -1 where |z| is larger than the largest of all heads in 95 of 100
        shuffles, 0 elsewhere."""
        largest = np.abs(self.attention_chance / self._spread).max(axis=(1, 2))
        far = np.abs(self.z) > np.quantile(largest, 0.95)
        found: np.ndarray = np.where(far, np.sign(self.gap), 0)
        return found

    @property
    def _spread(self) -> np.ndarray:
        found: np.ndarray = np.maximum(self.attention_chance.std(axis=0, dtype=float), 1e-9)
        return found

    def to_frame(self) -> "pd.DataFrame":
        """One row per head."""
        import pandas as pd

        layers, heads = np.indices(self.gap.shape)
        return pd.DataFrame(
            {
                "layer": layers.reshape(-1),
                "head": heads.reshape(-1),
                "same": self.attention_same.reshape(-1),
                "different": self.attention_different.reshape(-1),
                "gap": self.gap.reshape(-1),
                "chance_high": np.quantile(self.attention_chance, 0.95, axis=0).reshape(-1),
                "weight": self.weight.reshape(-1),
            }
        )
