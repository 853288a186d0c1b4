"""Which heads follow wrong examples, and what the answer gains without them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd

AS_IT_IS, WITHOUT = 0, 1  # conditions; the random groups follow


@dataclass(frozen=True)
class HeadFalseInduction(Result):
    """Attention of the last token to labels of examples that are wrong by a rule.

    `score` [layer, head]: attention to earlier labels that say what the wrong rule would say now,
    less the mean of that to each other label; -1 to 1. Control: the same examples with their labels
    in no order. `accuracy_*`, `margin_*` [condition] are on prompts the heads were not chosen on:
    as it is, with the `k` best heads silent at the last token, with `n_random` groups of k others.
    """

    name: ClassVar[str] = "head_false_induction"
    source: str
    names: tuple[str, ...]  # kinds of things that are single tokens; () of random words
    n_examples: int  # of a prompt
    n_classes: int
    n_prompts: int  # whose attention is read
    n_chosen_on: int
    n_tested: int
    n_random: int
    score: np.ndarray  # [layer, head]
    control: np.ndarray  # [layer, head]
    mass: np.ndarray  # [layer, head] attention to all labels
    chosen: np.ndarray  # [k, 2] layer and head, the best first; [0, 2] where none were silenced
    accuracy_true: np.ndarray  # [condition] share of right answers behind right examples
    accuracy_false: np.ndarray  # [condition] of right answers behind wrong ones
    margin_true: np.ndarray  # [condition] log p(right) - log p(wrong rule's), nats
    margin_false: np.ndarray  # [condition]

    @property
    def gap_reduction(self) -> np.ndarray:
        """[condition - 1] share of the accuracy lost to wrong examples that comes back.

        NaN where wrong examples cost nothing.
        """
        return _reduced(self.accuracy_true, self.accuracy_false)

    @property
    def margin_reduction(self) -> np.ndarray:
        """[condition - 1] the same of the margin, which moves before an answer does."""
        return _reduced(self.margin_true, self.margin_false)

    def to_frame(self) -> "pd.DataFrame":
        """One row per head, the highest score first."""
        import pandas as pd

        order = np.argsort(-self.score, axis=None, kind="stable")
        layers, heads = np.unravel_index(order, self.score.shape)
        places = zip(layers.tolist(), heads.tolist(), strict=True)
        table = {"site": [f"L{layer}.head[{head}]" for layer, head in places]}
        parts = {"score": self.score, "control": self.control, "mass": self.mass}
        return pd.DataFrame(table | {name: part.ravel()[order] for name, part in parts.items()})


def _reduced(true: np.ndarray, false: np.ndarray) -> np.ndarray:
    if not len(true):
        return np.zeros(0)
    gap = true[AS_IT_IS] - false[AS_IT_IS]
    if gap <= 0:
        return np.full(len(true) - 1, np.nan)
    found: np.ndarray = 1 - (true[AS_IT_IS] - false[WITHOUT:]) / gap
    return found
