"""Which neurons two models of one architecture share, vector by vector."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.pieces import WithPieces

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class NeuronMatch(WithPieces):
    """Neuron j of one model against neuron j of the other. First axis: `weights`.

    Control: the same numbers for neuron j of one against neuron j + 1 of the other.
    """

    name: ClassVar[str] = "neuron_match"
    models: tuple[str, str]
    weights: tuple[str, ...]
    n_vocabulary: int  # tokens both models have
    n_unlike: int  # ids among them that the two tokenizers write differently
    k: int  # tokens per list
    same_share: np.ndarray  # [weight, layer] neurons with the same first token
    control_same_share: np.ndarray  # [weight, layer]
    mean_cosine: np.ndarray  # [weight, layer] of the vectors of the two models
    control_mean_cosine: np.ndarray  # [weight, layer]
    mean_jaccard: np.ndarray  # [weight, layer] of the k first tokens
    control_mean_jaccard: np.ndarray  # [weight, layer]
    same: np.ndarray  # [weight, layer, neuron] bool
    cosine: np.ndarray  # [weight, layer, neuron]
    distance: np.ndarray  # [weight, layer, neuron] ||a - b|| over the mean length of a and b
    jaccard: np.ndarray  # [weight, layer, neuron]
    changed_weight: np.ndarray  # [changed] place in `weights`; largest distance first
    changed_layer: np.ndarray  # [changed]
    changed_neuron: np.ndarray  # [changed]
    changed_ids: np.ndarray  # [changed, 2, k] first tokens in the one and the other model
    stack: str = ""

    def to_frame(self) -> "pd.DataFrame":
        """One row per most-changed neuron."""
        import pandas as pd

        prefix = f"{self.stack}." if self.stack else ""
        at = (self.changed_weight, self.changed_layer, self.changed_neuron)
        pairs = zip(self.changed_layer.tolist(), self.changed_neuron.tolist(), strict=True)
        return pd.DataFrame(
            {
                "site": [f"{prefix}L{layer}.neuron[{neuron}]" for layer, neuron in pairs],
                "weight": [self.weights[w] for w in self.changed_weight.tolist()],
                "distance": self.distance[at],
                "cosine": self.cosine[at],
                "jaccard": self.jaccard[at],
                "before": [" ".join(self.read(row)) for row in self.changed_ids[:, 0]],
                "after": [" ".join(self.read(row)) for row in self.changed_ids[:, 1]],
            }
        )
