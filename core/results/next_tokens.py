"""What comes next: the most probable tokens of the clean, the clamped and the control run."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class NextTokens(Result):
    """Next-token probabilities at one position.

    `runs` is ("clean",) or ("clean", "clamped", "control"); the control row is the mean over
    `n_controls` random controls of equal norm. Candidates are the union of every run's top k,
    most probable in the last named run first.
    """

    name: ClassVar[str] = "next_tokens"
    tokens: tuple[str, ...]  # the prompt's pieces, as shown on screen
    special: tuple[bool, ...]  # per token: is it a special token
    position: int
    runs: tuple[str, ...]
    candidates: tuple[str, ...]
    n_controls: int
    masked: bool  # an encoder: the prediction is for the token itself, not the next one
    ids: np.ndarray  # [candidate] int64
    probability: np.ndarray  # [run, candidate], 0 to 1
    control_low: np.ndarray  # [candidate] least over the controls, empty without clamps
    control_high: np.ndarray  # [candidate]
    entropy: np.ndarray  # [run] nats
    kl: np.ndarray  # [run] nats, KL(clean || run) at the position; control: mean over controls

    def to_frame(self) -> "pd.DataFrame":
        """One row per candidate: its piece, id, and its probability in every run."""
        import pandas as pd

        columns = {run: self.probability[row] for row, run in enumerate(self.runs)}
        table = {"piece": list(self.candidates), "id": self.ids, **columns}
        if self.control_low.size:
            table |= {"control_low": self.control_low, "control_high": self.control_high}
        return pd.DataFrame(table)
