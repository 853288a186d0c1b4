"""Three texts side by side: clean, clamped and a random control of equal norm."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class SteerResult(Result):
    """Continuations under the clamps, token by token.

    Run r wrote `pieces[r]`. `logprob_clean[r, t]` is the log-probability the clean model gives
    that token, `logprob_changed[r, t]` the one the changed model gives it: the clamped model for
    the runs "clean" and "clamped", the control for "control". Their difference is the token-level
    change. `kl[r, t]` is KL(clean || changed) at that position of that text. NaN behind the end
    of a shorter text. Without clamps only the run "clean" exists.
    """

    name: ClassVar[str] = "steer"
    prompt: tuple[str, ...]
    runs: tuple[str, ...]
    texts: tuple[str, ...]  # [run] the continuation alone
    pieces: tuple[tuple[str, ...], ...]  # [run][token]
    sites: tuple[str, ...]  # site texts of the active clamps
    seed: int
    temperature: float
    stopped: tuple[str, ...]  # [run] why it ended: "length", "end token", "context"
    logprob_clean: np.ndarray  # [run, token] nats
    logprob_changed: np.ndarray  # [run, token] nats
    kl: np.ndarray  # [run, token] nats
    control_kl_mean: np.ndarray  # [control] mean KL per token over the clean text, other controls

    def to_frame(self) -> "pd.DataFrame":
        """One row per token of each run: the piece, its log-probabilities and the KL, in nats."""
        import pandas as pd

        rows = [
            {
                "run": run,
                "token": number,
                "piece": piece,
                "logprob_clean": float(self.logprob_clean[row, number]),
                "logprob_changed": float(self.logprob_changed[row, number]),
                "kl": float(self.kl[row, number]),
            }
            for row, (run, pieces) in enumerate(zip(self.runs, self.pieces, strict=True))
            for number, piece in enumerate(pieces)
        ]
        return pd.DataFrame(rows)
