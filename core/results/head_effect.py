"""What every head causes: the loss of the answer when the head is ablated, and what it says."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd

LEAST_DIRECT = 0.1  # logits: below it there is no direct effect that could be repaired


@dataclass(frozen=True)
class HeadEffect(Result):
    """Causal effect of each head on the model's answer at one position.

    `effect` = log p(answer) of the unablated run minus that with the head ablated, in nats:
    positive means the head helps the answer. `total` is the same of the score: the answer's logit
    against `against` (no token: the mean of the vocabulary), any cap on logits undone. `direct`
    is what the score loses when nothing behind the head reacts and all norms keep their sizes;
    where the model has no such path, gradient x change (`direct_kind` "gradient").
    `attribution` is what the head says on that path as it is. Controls: the stream is moved as
    far in a random direction inside another head of the layer; of attributions, random tokens.
    """

    name: ClassVar[str] = "head_effect"
    tokens: tuple[str, ...]
    position: int
    answer: str  # the piece whose log-probability is measured
    answer_id: int
    against: str  # the piece its logit is compared with, "" the mean of the vocabulary
    to: str  # "mean", "zero" or "resample"
    where: str  # the tokens at which heads are ablated, "" all
    n_controls: int
    n_random: int  # random tokens behind `random_attribution`
    n_texts: int
    direct_kind: str  # "direct" or "gradient"
    why_not: str  # why there is no plain path to the logits, "" when there is
    cap: float  # the model's cap on logits, 0 for none
    probability: float  # of the answer, unablated
    score: float  # logit of the answer against the other, unablated, cap undone
    start: float  # of it the embeddings, NaN without a plain path; the parts add up to the score
    constant: float  # of it biases of final norm and unembedding
    effect: np.ndarray  # [layer, head] nats
    control: np.ndarray  # [layer, head] nats, mean over the controls
    kl: np.ndarray  # [layer, head] nats, KL(unablated || ablated) at the position
    control_kl: np.ndarray  # [layer, head] nats, mean over the controls
    total: np.ndarray  # [layer, head] logit units
    control_total: np.ndarray  # [layer, head]
    direct: np.ndarray  # [layer, head] logit units
    control_direct: np.ndarray  # [layer, head]
    attribution: np.ndarray  # [layer, head] logit units, parts of the score; NaN without a path
    random_attribution: np.ndarray  # [layer] largest |attribution| for a random token, mean
    bias: np.ndarray  # [layer] of the score: biases of the attention's output
    attention: np.ndarray  # [layer] of the score: the attention, heads + bias
    mlp: np.ndarray  # [layer] of the score: the MLP
    stack: str = ""  # "enc" when the layers are those of an encoder beside a decoder

    @property
    def repair(self) -> np.ndarray:
        """[layer, head] 1 - total / direct: the share that later parts make good, or undo.

        NaN where the direct effect is below 0.1 logits or is only a gradient's.
        """
        there = (np.abs(self.direct) >= LEAST_DIRECT) & (self.direct_kind == "direct")
        whole = np.where(there, self.direct, 1.0)
        return np.where(there, 1 - self.total / whole, np.nan)

    @property
    def remainder(self) -> float:
        """The score less its parts: rounding. NaN without a plain path."""
        return (
            self.score - float(self.start + self.attention.sum() + self.mlp.sum()) - self.constant
        )

    @property
    def noise(self) -> float:
        """95th percentile of |effect| over the controls: what a random change does."""
        return float(np.quantile(np.abs(self.control), 0.95))

    def to_frame(self) -> "pd.DataFrame":
        """One row per head."""
        import pandas as pd

        prefix = f"{self.stack}." if self.stack else ""
        n_layers, n_heads = self.effect.shape
        sites = [f"{prefix}L{at}.head[{n}]" for at in range(n_layers) for n in range(n_heads)]
        names = [
            *("effect", "control", "kl", "control_kl", "total", "control_total"),
            *("direct", "control_direct", "attribution", "repair"),
        ]
        columns = {name: getattr(self, name).reshape(-1) for name in names}
        return pd.DataFrame({"site": sites, **columns})
