"""What neurons do with what they read: classes by the cosines of their vectors."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd

# A class code is a place in this list. Without a gate there are only the first, the middle and
# the last. Order: from strengthening what is read, over none of it, to weakening it.
CLASSES = (
    "strengthening",
    "atypical strengthening",
    "conditional strengthening",
    "atypical conditional strengthening",
    "proportional change",
    "atypical proportional change",
    "orthogonal output",
    "atypical conditional weakening",
    "conditional weakening",
    "atypical weakening",
    "weakening",
)
COSINES = ("cos(in, out)", "cos(gate, in)", "cos(gate, out)")


@dataclass(frozen=True)
class NeuronClasses(Result):
    """Class of every neuron, and how often each class comes in every layer.

    Control: the same counts for triples of vectors taken from different neurons of the layer.
    """

    name: ClassVar[str] = "neuron_classes"
    gated: bool
    threshold: float
    n_shuffles: int  # mismatched layers behind `control_counts`
    isotropic: float  # 95 % of isotropic pairs have a |cosine| below this
    count: np.ndarray  # [layer, class] neurons
    control_count: np.ndarray  # [layer, class] neurons, mean over the shuffles
    code: np.ndarray  # [layer, neuron] int8, place in CLASSES
    linout: np.ndarray  # [layer, neuron] cos(in, out)
    gatelin: np.ndarray  # [layer, neuron] cos(gate, in), NaN without a gate
    gateout: np.ndarray  # [layer, neuron] cos(gate, out), NaN without a gate
    band: np.ndarray  # [layer, 3, 2] central 95 % of mismatched pairs, order of COSINES
    stack: str = ""

    def flipped(self, layer: int) -> np.ndarray:
        """[neuron, 3] cosines of a layer with the signs chosen so that cos(gate, in) >= 0.

        Changing the sign of `in` and `out` together leaves the neuron what it is.
        """
        sign = np.where(self.gatelin[layer] < 0, -1, 1)
        columns = (self.linout[layer], self.gatelin[layer] * sign, self.gateout[layer] * sign)
        return np.stack(columns, axis=1)

    def to_frame(self) -> "pd.DataFrame":
        """One row per layer and class: neurons found, neurons expected of mismatched pairs."""
        import pandas as pd

        layers, classes = np.indices(self.count.shape).reshape(2, -1)
        return pd.DataFrame(
            {
                "layer": layers,
                "class": [CLASSES[c] for c in classes.tolist()],
                "neurons": self.count.ravel(),
                "control": self.control_count.ravel(),
            }
        )
