"""The neurons of a word, a list of words or a pattern, best first, and the score of all."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.neuron_classes import CLASSES
from core.results.pieces import WithPieces

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class NeuronSearch(WithPieces):
    """Neurons by how far the tokens asked for stick out among their scores.

    `score` is in standard deviations over the vocabulary: mean over the words, best reading of
    a word, mean over the pieces of a reading; of the two ends the stronger, negative when it is
    the bottom one. Control: `chance`, the 95th and 99th percentile of the largest |score| that
    any neuron of the model reaches for random tokens read the same way, `n_random` draws.
    """

    name: ClassVar[str] = "neuron_search"
    weight: str
    against: str
    asked: str  # what was asked for, in words
    notes: tuple[str, ...]  # how each word was read
    n_vocabulary: int
    n_asked: int  # different tokens asked for
    n_random: int
    chance: tuple[float, float]
    asked_ids: np.ndarray  # [token] int64, the tokens asked for
    score: np.ndarray  # [layer, neuron] signed, of every neuron
    layer: np.ndarray  # [hit] int64, best first
    neuron: np.ndarray  # [hit]
    hit_score: np.ndarray  # [hit] signed
    margin: np.ndarray  # [hit] z of the best token asked for minus z of the best other one
    own_ids: np.ndarray  # [hit, 6] first tokens at the end that speaks of what was asked for
    linout: np.ndarray  # [hit] cos(in, out)
    code: np.ndarray  # [hit] int8, place in CLASSES
    stack: str = ""

    def sites(self) -> tuple[str, ...]:
        """Addresses of the hits."""
        prefix = f"{self.stack}." if self.stack else ""
        pairs = zip(self.layer.tolist(), self.neuron.tolist(), strict=True)
        return tuple(f"{prefix}L{layer}.neuron[{neuron}]" for layer, neuron in pairs)

    def to_frame(self) -> "pd.DataFrame":
        """One row per hit."""
        import pandas as pd

        return pd.DataFrame(
            {
                "site": self.sites(),
                "weight": self.weight,
                "z": self.hit_score,
                "chance_99": self.chance[1],
                "margin": self.margin,
                "first": [" ".join(self.read(row)) for row in self.own_ids],
                "linout": self.linout,
                "class": [CLASSES[code] for code in self.code.tolist()],
            }
        )
