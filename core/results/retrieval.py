"""Which heads fetch what is asked for from a text, and whether the answer needs them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd

LEAST = 0.1  # the published threshold of a retrieval head


@dataclass(frozen=True)
class Retrieval(Result):
    """Scores [layer, head], means over the prompts, 0 to 1, and an ablation check.

    `score`: share of the answer's tokens in the needle that are a head's largest attention while
    that very token is foretold, each place counted once; `soft`: mean attention on the right one.
    `control`, `control_soft`: the same on spans of chance elsewhere in the text (by place alone),
    NaN where the text has no room. `score_found`: over prompts with more than half of the answer
    right; NaN without one.
    """

    name: ClassVar[str] = "retrieval"
    source: str  # "text" or "random"
    without_first: bool  # the first token was no candidate for the largest attention
    n_prompts: int
    n_lost: int  # prompts whose answer was tokenized in another way than in the needle
    n_found: int  # prompts with more than half of the answer's tokens right
    n_spans: int  # spans of chance per prompt, at most
    n_tokens: int  # tokens of answers over all prompts
    n_checked: int  # prompts of the ablation check
    n_random: int  # sets of other heads for each k
    score: np.ndarray  # [layer, head]
    soft: np.ndarray  # [layer, head]
    control: np.ndarray  # [layer, head]
    control_soft: np.ndarray  # [layer, head]
    score_found: np.ndarray  # [layer, head]
    lengths: np.ndarray  # [length] tokens, at most
    depths: np.ndarray  # [depth] 0 at the beginning, 1 at the end
    success: np.ndarray  # [length, depth] share of the answer's tokens that are the first choice
    log_p: np.ndarray  # [length, depth] nats per answer token
    k: np.ndarray  # [k] heads silenced while the answer is foretold
    unmasked: float  # share right of the prompts checked
    masked: np.ndarray  # [k] share right without the k best heads
    masked_control: np.ndarray  # [k, random] without k others
    unmasked_log_p: float
    masked_log_p: np.ndarray  # [k]
    masked_control_log_p: np.ndarray  # [k, random]

    def to_frame(self) -> "pd.DataFrame":
        """One row per head."""
        import pandas as pd

        layers, heads = np.indices(self.score.shape).reshape(2, -1)
        pairs = zip(layers.tolist(), heads.tolist(), strict=True)
        columns: dict[str, object] = {"site": [f"L{layer}.head[{head}]" for layer, head in pairs]}
        for name in ("score", "soft", "control", "control_soft", "score_found"):
            columns[name] = getattr(self, name).ravel()
        return pd.DataFrame(columns)
