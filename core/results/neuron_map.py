"""All neurons of a model at a glance: what each one says first, and how far it sticks out."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.neuron_classes import CLASSES
from core.results.pieces import WithPieces

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class NeuronMap(WithPieces):
    """First token at both ends of one vector of every neuron, its size, cosine and class.

    Control: `null_z` per layer, the 99th percentile of the largest |z| of `n_null` random
    vectors with the covariance of the layer's rows.
    """

    name: ClassVar[str] = "neuron_map"
    weight: str
    against: str
    n_vocabulary: int
    n_null: int
    top_id: np.ndarray  # [layer, neuron] int32
    bottom_id: np.ndarray  # [layer, neuron] int32
    top_z: np.ndarray  # [layer, neuron] over the vocabulary
    bottom_z: np.ndarray  # [layer, neuron] negative
    write_norm: np.ndarray  # [layer, neuron] stream units per unit of activation
    linout: np.ndarray  # [layer, neuron] cos(in, out)
    code: np.ndarray  # [layer, neuron] int8, place in CLASSES
    null_z: np.ndarray  # [layer]
    decodable_share: np.ndarray  # [layer] neurons whose largest |z| lies above the null
    stack: str = ""

    @property
    def z(self) -> np.ndarray:
        """[layer, neuron] z of the end that sticks out further, with its sign."""
        return np.where(self.top_z >= -self.bottom_z, self.top_z, self.bottom_z)

    @property
    def first_id(self) -> np.ndarray:
        """[layer, neuron] the token of that end."""
        return np.where(self.top_z >= -self.bottom_z, self.top_id, self.bottom_id)

    def to_frame(self) -> "pd.DataFrame":
        """One row per neuron."""
        import pandas as pd

        layers, neurons = np.indices(self.top_id.shape).reshape(2, -1)
        prefix = f"{self.stack}." if self.stack else ""
        pairs = zip(layers.tolist(), neurons.tolist(), strict=True)
        return pd.DataFrame(
            {
                "site": [f"{prefix}L{layer}.neuron[{neuron}]" for layer, neuron in pairs],
                "top": self.read(self.top_id.ravel()),
                "top_z": self.top_z.ravel(),
                "bottom": self.read(self.bottom_id.ravel()),
                "bottom_z": self.bottom_z.ravel(),
                "null_z": np.repeat(self.null_z, self.top_id.shape[1]),
                "write_norm": self.write_norm.ravel(),
                "linout": self.linout.ravel(),
                "class": [CLASSES[code] for code in self.code.ravel().tolist()],
            }
        )
