"""What one unit causes on a text: ablated, activated and suppressed, beside random controls."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class UnitEffect(Result):
    """Effects of one unit under several conditions: KL, tokens moved, and how far it carries.

    Condition c is `conditions[c]`, made by the change `changes[c]` (as Python). `direct` is what
    the shift the change makes at the unit's own place does to the answer's logit when nothing in
    between reacts and the final norm's size is held; `total` what really happened to it, both
    against the mean logit of the vocabulary. `repair` = 1 - total / direct of ablations: the share
    that later layers make good; NaN where there is no direct effect to speak of. Arrays that begin
    with `control_` are the same for random changes of matched size, see `control_words`.
    """

    name: ClassVar[str] = "unit_effect"
    site: str
    kind: str  # "neuron", "head", "direction", "coordinate", "feature"
    where: str
    tokens: tuple[str, ...]
    special: tuple[bool, ...]
    position: int
    conditions: tuple[str, ...]
    changes: tuple[str, ...]
    control_words: tuple[str, ...]  # [condition] what its controls are
    unit: float  # the 99.9th percentile of the size of its values on the reference text, 0 of heads
    natural: tuple[float, ...]  # (lowest, highest) value there, () of heads
    stack: str
    n_controls: int
    n_reference: int
    answer: str  # the clean run's most probable token
    top: tuple[str, ...]  # the clean run's most probable tokens, the answer first
    raised: tuple[tuple[str, ...], ...]  # [condition][k] tokens whose probability rose most
    lowered: tuple[tuple[str, ...], ...]
    activation: np.ndarray  # [token] its value in the clean run; of a head the length of its vector
    layer: np.ndarray  # [layer] those at or behind the unit
    kl: np.ndarray  # [condition] KL(clean || changed) at the position, nats
    kl_mean: np.ndarray  # [condition] mean over tokens
    control_kl: np.ndarray  # [condition, control]
    control_kl_mean: np.ndarray  # [condition, control]
    top_probability: np.ndarray  # [k] of the clean run
    top_change: np.ndarray  # [condition, k] change of log p, nats
    control_top_change: np.ndarray  # [condition, k] mean over controls
    raised_probability: np.ndarray  # [condition, k, 2] clean and changed
    lowered_probability: np.ndarray  # [condition, k, 2]
    direct: np.ndarray  # [condition] logits; NaN where it cannot be had
    total: np.ndarray  # [condition] logits
    control_total: np.ndarray  # [condition, control]
    repair: np.ndarray  # [condition]
    shift: np.ndarray  # [condition, layer] ||dx|| / ||x|| of resid_post, mean over moved tokens
    cosine: np.ndarray  # [condition, layer] of dx with the shift at the unit's place, likewise
    control_shift: np.ndarray  # [condition, layer] mean over controls
    control_cosine: np.ndarray  # [condition, layer]

    def to_frame(self) -> "pd.DataFrame":
        """One row per condition: effects in nats and logits, with the controls' mean and range."""
        import pandas as pd

        return pd.DataFrame(
            {
                "condition": self.conditions,
                "kl": self.kl,
                "control_kl_mean": self.control_kl.mean(axis=1),
                "control_kl_high": self.control_kl.max(axis=1),
                "kl_per_token": self.kl_mean,
                "control_kl_per_token": self.control_kl_mean.mean(axis=1),
                "direct": self.direct,
                "total": self.total,
                "control_total": self.control_total.mean(axis=1),
                "repair": self.repair,
                "raised": [" ".join(words) for words in self.raised],
                "lowered": [" ".join(words) for words in self.lowered],
            }
        )
