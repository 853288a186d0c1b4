"""Every neuron of a layer read through the unembedding: its most extreme tokens."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.pieces import WithPieces

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class NeuronTokens(WithPieces):
    """Top and bottom tokens of one vector of every neuron of a layer, most extreme first.

    Both ends count: a gated neuron with `in` and `out` turned round is the same neuron.
    Control: `null_z`, the 99th percentile of the largest |z| of `n_null` random vectors with
    the covariance of the layer's rows. `decodable`: the neuron's largest |z| lies above it.
    """

    name: ClassVar[str] = "neuron_tokens"
    layer: int
    weight: str  # "out", "in" or "gate"
    against: str  # "unembedding" or "embedding"
    relative: bool  # True: the mean row of the layer was taken away first
    n_vocabulary: int  # tokens read against
    null_z: float
    n_null: int
    top_ids: np.ndarray  # [neuron, k] int64
    top_logits: np.ndarray  # [neuron, k] raw scores, no bias, no cap
    bottom_ids: np.ndarray  # [neuron, k]
    bottom_logits: np.ndarray  # [neuron, k]
    top_z: np.ndarray  # [neuron] of the first top token, over the vocabulary
    bottom_z: np.ndarray  # [neuron] of the first bottom token, negative
    margin: np.ndarray  # [neuron] z of the first token minus z of the second, stronger end
    decodable: np.ndarray  # [neuron] bool
    hub_ids: np.ndarray  # [hub] tokens first at an end of > 0.5 % of all ends, and of 3 at least
    hub_share: np.ndarray  # [hub] share of the ends (two per neuron)
    top_probability: np.ndarray  # [neuron] softmax of the scores at temperature 1; [0] unless asked
    bottom_probability: np.ndarray  # [neuron] the same of minus the scores
    kurtosis: np.ndarray  # [neuron] excess kurtosis of the scores; [0] unless asked
    stack: str = ""

    def to_frame(self) -> "pd.DataFrame":
        """One row per neuron: its site, z at both ends, the tokens at both ends."""
        import pandas as pd

        prefix = f"{self.stack}." if self.stack else ""
        return pd.DataFrame(
            {
                "site": [f"{prefix}L{self.layer}.neuron[{i}]" for i in range(len(self.top_z))],
                "top_z": self.top_z,
                "bottom_z": self.bottom_z,
                "decodable": self.decodable,
                "top": [" ".join(self.read(row)) for row in self.top_ids],
                "bottom": [" ".join(self.read(row)) for row in self.bottom_ids],
            }
        )
