"""Which neurons fire on a word list, a pattern or a planted label."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class NeuronFires(Result):
    """How well each neuron tells the target tokens from all others, on documents held out.

    Direction and threshold of a neuron are those of best F1 on half A of the documents; every
    number is of half B. A neuron fires above its threshold (direction 1) or below minus its
    threshold (-1). Control: the target marks rotated inside every context by a random number of
    tokens, `n_shifts` times, the whole search done again; `control_*` are the best neuron's.
    """

    name: ClassVar[str] = "neuron_fires"
    target: str  # what was looked for, in words
    token: str  # which token of a word or match: last, first or all
    corpus: str
    n_contexts: int
    n_tokens: tuple[int, int]  # halves A and B
    n_targets: tuple[int, int]
    targets: tuple[tuple[str, int], ...]  # the target tokens met most, and how often
    always: tuple[float, float]  # precision and F1 of a neuron that fires on every token of B
    layers: tuple[int, ...]
    n_beyond: int  # neurons whose F1 lies above every control
    f1: np.ndarray  # [layer, neuron] 0 to 1
    auc: np.ndarray  # [layer, neuron] chance that a target has more of it than another token
    direction: np.ndarray  # [layer, neuron] int8, 1 or -1
    control_f1: np.ndarray  # [shift] best of all neurons
    control_auc: np.ndarray  # [shift] best of all neurons, direction aside
    best_layer: np.ndarray  # [k] the table, best F1 on half A first
    best_neuron: np.ndarray  # [k]
    threshold: np.ndarray  # [k] activation units, magnitude
    precision: np.ndarray  # [k]
    recall: np.ndarray  # [k]
    best_f1: np.ndarray  # [k]
    best_auc: np.ndarray  # [k] in the neuron's direction: of the activation or of its negative
    best_direction: np.ndarray  # [k] int8
    stack: str = ""

    def to_frame(self) -> "pd.DataFrame":
        """The table: one row per neuron."""
        import pandas as pd

        prefix = f"{self.stack}." if self.stack else ""
        pairs = zip(self.best_layer.tolist(), self.best_neuron.tolist(), strict=True)
        return pd.DataFrame(
            {
                "site": [f"{prefix}L{layer}.neuron[{neuron}]" for layer, neuron in pairs],
                "direction": self.best_direction,
                "threshold": self.threshold,
                "precision": self.precision,
                "recall": self.recall,
                "f1": self.best_f1,
                "auc": self.best_auc,
            }
        )
