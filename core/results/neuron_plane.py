"""The two inputs of one gated neuron on a corpus: one meaning, or several?"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd

QUADRANTS = ("++", "+-", "-+", "--")  # sign of the gate, sign of the up value


@dataclass(frozen=True)
class NeuronPlane(Result):
    """Counts of tokens over the plane gate x up, and the strongest tokens of every quadrant.

    A neuron without a gate has one input: `counts` has one row, quadrants are "+" and "-" of it.
    Control: `random_strength`, the share each quadrant would have of the summed |activation| if
    gate and up value of different tokens met (their order shuffled).
    """

    name: ClassVar[str] = "neuron_plane"
    site: str
    corpus: str
    gated: bool
    nonlinearity: str  # as the model's configuration calls it, "" when it does not
    n_tokens: int
    n_contexts: int
    n_outside: int  # tokens beyond the edges of the plane, which hold 99.8 % of each axis
    correlation: float  # of gate and up value; NaN without a gate
    quadrants: tuple[str, ...]
    extreme_quadrant: tuple[str, ...]  # [extreme]
    extreme_tokens: tuple[tuple[str, ...], ...]  # [extreme][token] a stretch of the text
    extreme_at: tuple[int, ...]  # [extreme] which token of the stretch is meant
    gate_edges: np.ndarray  # [column + 1] gate pre-activation (no gate: pre-activation)
    up_edges: np.ndarray  # [row + 1] up value; without a gate (0, 1)
    counts: np.ndarray  # [row, column] tokens
    share: np.ndarray  # [quadrant] of the tokens, 0 to 1
    strength: np.ndarray  # [quadrant] of the summed |activation|
    random_strength: np.ndarray  # [quadrant]
    extreme_gate: np.ndarray  # [extreme] where it lies
    extreme_up: np.ndarray  # [extreme], NaN without a gate
    extreme_activation: np.ndarray  # [extreme]

    def to_frame(self) -> "pd.DataFrame":
        """One row per extreme token."""
        import pandas as pd

        at = zip(self.extreme_tokens, self.extreme_at, strict=True)
        return pd.DataFrame(
            {
                "quadrant": self.extreme_quadrant,
                "token": [tokens[place] for tokens, place in at],
                "gate": self.extreme_gate,
                "up": self.extreme_up,
                "activation": self.extreme_activation,
                "text": ["".join(tokens) for tokens in self.extreme_tokens],
            }
        )
