"""What changed from one model to another of its architecture: directions, units, and a test."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Shift(Result):
    """Row l of [layer, ...] arrays is about `L{l}.resid_post`. The shift of a text is the other
    model's state minus this model's.

    Directions are built from some of the texts (`found`), the steering is tested on the rest
    (`tested`). KL is that of the other model's answer from this one's, at the last token, in nats;
    `recovered` is the share of it that a change takes away. NaN and a note where a model does not
    continue texts.
    """

    name: ClassVar[str] = "shift"
    models: tuple[str, str]
    same: bool
    texts: tuple[str, ...]
    source: str
    position: str
    stack: str
    n_tokens: int  # behind the changes of units
    n_random: int
    seed: int
    notes: tuple[str, ...]
    raises: tuple[tuple[str, ...], ...]  # [layer][k] tokens the direction raises
    lowers: tuple[tuple[str, ...], ...]
    answers_before: tuple[str, ...]  # [tested] first choice of this model
    answers_after: tuple[str, ...]  # of the other
    answers_steered: tuple[str, ...]  # of this one with the shift added at the best layer
    found: np.ndarray  # [found] numbers of the texts the directions come from
    tested: np.ndarray  # [tested] numbers of the texts they are tested on
    direction: np.ndarray  # [layer, d_model] mean shift, as it is
    length: np.ndarray  # [layer] over the mean length of the stream
    consistency: np.ndarray  # [layer] mean cosine of a text's shift with the mean of the others
    control_consistency: np.ndarray  # [layer] the signs of the texts' shifts drawn at random
    split_half: np.ndarray  # [layer] cosine between the directions of two halves
    separation: np.ndarray  # [layer] AUC on held-out texts, which model a state is from
    control_separation: np.ndarray  # [layer, shuffle]
    moved: np.ndarray  # [layer, text] length of its shift over the mean length of the stream
    along: np.ndarray  # [layer, text] its shift along the direction, over the same
    raise_score: np.ndarray  # [layer, k]
    lower_score: np.ndarray  # [layer, k]
    control_score: np.ndarray  # [layer] a random direction's largest
    head_wrote: np.ndarray  # [layer, head] change of what it writes, stream units
    control_head_wrote: np.ndarray  # [layer, head] between two unrelated tokens
    head_weights: np.ndarray  # [layer, head] of its output matrix, over the mean length
    control_head_weights: np.ndarray  # [layer, head] against the next head
    neuron_wrote: np.ndarray  # [layer, neuron]; [0, 0] where there are no single neurons
    control_neuron_wrote: np.ndarray
    neuron_weights: np.ndarray  # [layer, neuron] of all its vectors
    control_neuron_weights: np.ndarray
    kl_before: np.ndarray  # [tested]
    kl_steered: np.ndarray  # [layer, tested] the mean shift added
    kl_random: np.ndarray  # [layer, draw] mean over the tested; a random direction as long
    kl_own: np.ndarray  # [layer, tested] every text's own shift: the most that a layer can do
    agree_before: float  # share of tested texts with one first choice
    agree_steered: np.ndarray  # [layer]
    agree_random: np.ndarray  # [layer]
    doses: np.ndarray  # [dose] multiples of the shift, at the best layer
    kl_dose: np.ndarray  # [dose] mean over the tested
    kl_dose_random: np.ndarray  # [dose, draw]

    @property
    def best(self) -> int:
        """The layer at which the shift makes up for most of the difference."""
        mean = self.kl_steered.mean(axis=1)
        known = np.isfinite(mean)
        return int(np.where(known, mean, np.inf).argmin()) if known.any() else 0

    @property
    def recovered(self) -> np.ndarray:
        """[layer] share of the KL that the shift takes away."""
        return self._share(self.kl_steered.mean(axis=1))

    @property
    def recovered_random(self) -> np.ndarray:
        """[layer] the same for random directions, mean."""
        return self._share(self.kl_random.mean(axis=1))

    @property
    def recovered_own(self) -> np.ndarray:
        """[layer] the same for each text's own shift."""
        return self._share(self.kl_own.mean(axis=1))

    def _share(self, kl: np.ndarray) -> np.ndarray:
        before = float(self.kl_before.mean()) if len(self.kl_before) else np.nan
        return 1 - kl / before if before > 1e-9 else np.full(len(kl), np.nan)

    def to_frame(self) -> "pd.DataFrame":
        """One row per layer."""
        import pandas as pd

        columns = {
            "layer": np.arange(len(self.length)),
            "length": self.length,
            "consistency": self.consistency,
            "control_consistency": self.control_consistency,
            "split_half": self.split_half,
            "separation": self.separation,
            "recovered": self.recovered,
            "recovered_random": self.recovered_random,
            "recovered_own": self.recovered_own,
            "raises": [" ".join(row) for row in self.raises],
            "lowers": [" ".join(row) for row in self.lowers],
        }
        return pd.DataFrame(columns)
