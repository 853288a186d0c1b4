"""What every neuron does on one text, and what it says there about the next token."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class NeuronActivity(Result):
    """Activations [layer, neuron] at one token, the strongest over the text, and their effect.

    `direct` is what the neuron adds to the logit of `answer` on the straight way through the final
    norm as it is at this token, before any cap: parts of one sum. Control: `random_direct`, the
    largest |direct| of the layer's neurons for a random token instead, mean over `n_random`.
    """

    name: ClassVar[str] = "neuron_activity"
    tokens: tuple[str, ...]
    position: int
    sites: tuple[str, ...]  # of the changes in place
    answer: str  # the token predicted at the position, "" without a prediction
    answer_probability: float
    why_not: str  # why there is no direct effect, "" when there is
    n_random: int
    activation: np.ndarray  # [layer, neuron] at the position, signed
    peak: np.ndarray  # [layer, neuron] of largest magnitude over the text's tokens, signed
    peak_position: np.ndarray  # [layer, neuron] int32, the first token that has it
    write: np.ndarray  # [layer, neuron] length of what it adds to the stream at the position
    variance_share: np.ndarray  # [layer, neuron] of Var(activation) ||write vector||², sum 1
    direct: np.ndarray  # [layer, neuron] logit units, NaN where there is none
    random_direct: np.ndarray  # [layer]
    stack: str = ""

    def to_frame(self) -> "pd.DataFrame":
        """One row per neuron."""
        import pandas as pd

        prefix = f"{self.stack}." if self.stack else ""
        n_layers, n_neurons = self.activation.shape
        sites = [f"{prefix}L{at}.neuron[{n}]" for at in range(n_layers) for n in range(n_neurons)]
        names = ("activation", "peak", "peak_position", "write", "variance_share", "direct")
        columns = {name: getattr(self, name).reshape(-1) for name in names}
        return pd.DataFrame({"site": sites, **columns})
