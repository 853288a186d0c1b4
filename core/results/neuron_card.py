"""One neuron: what it reads and writes, what kind it is, and which neurons are near."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.pieces import WithPieces

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class NeuronCard(WithPieces):
    """Everything about one neuron that its weights say.

    Rows of the token arrays are `weights`. Controls: `null_z`, the 99th percentile of the
    largest |z| of `n_null` random vectors with the covariance of the layer's rows; `band`,
    central 95 % of each cosine for vectors of different neurons; `chance_cosine`, the mean of
    the largest |cosine| of `n_chance` random vectors with all neurons of the model.
    """

    name: ClassVar[str] = "neuron_card"
    layer: int
    neuron: int
    weights: tuple[str, ...]  # "out", "in" and, in gated MLPs, "gate"
    against: str
    n_vocabulary: int
    n_neurons: int  # in all layers, what the nearest were chosen from
    class_name: str
    write_norm: float  # stream units per unit of activation
    write_percentile: float  # share of the layer's neurons that write less, 0 to 1
    isotropic: float  # 95 % of isotropic pairs have a |cosine| below this
    chance_cosine: float
    n_chance: int
    n_null: int
    cosines: np.ndarray  # [3] cos(in, out), cos(gate, in), cos(gate, out); NaN without a gate
    band: np.ndarray  # [3, 2]
    null_z: np.ndarray  # [weight]
    top_ids: np.ndarray  # [weight, k] int64
    top_logits: np.ndarray  # [weight, k] raw scores
    top_z: np.ndarray  # [weight, k]
    top_cosine: np.ndarray  # [weight, k] with the token's own direction
    bottom_ids: np.ndarray  # [weight, k]
    bottom_logits: np.ndarray  # [weight, k]
    bottom_z: np.ndarray  # [weight, k]
    bottom_cosine: np.ndarray  # [weight, k]
    top_probability: np.ndarray  # [weight] softmax of the scores at temperature 1, first token
    bottom_probability: np.ndarray  # [weight] the same of minus the scores
    near_layer: np.ndarray  # [near] most similar `out` vectors by |cosine|
    near_neuron: np.ndarray  # [near]
    near_cosine: np.ndarray  # [near] negative: writes the opposite
    near_ids: np.ndarray  # [near, 3] what it writes first, in the direction of this neuron
    stack: str = ""

    @property
    def site(self) -> str:
        """Its address."""
        return f"{'enc.' if self.stack else ''}L{self.layer}.neuron[{self.neuron}]"

    def to_frame(self) -> "pd.DataFrame":
        """One row per vector, end and rank: token, score, z, cosine."""
        import pandas as pd

        parts = []
        for row, weight in enumerate(self.weights):
            for end in ("top", "bottom"):
                ids, logits, z, cosine = (
                    getattr(self, f"{end}_{kind}")[row] for kind in ("ids", "logits", "z", "cosine")
                )
                table = {"token": self.read(ids), "score": logits, "z": z, "cosine": cosine}
                parts.append(pd.DataFrame({"weight": weight, "end": end, **table}))
        return pd.concat(parts, ignore_index=True)
