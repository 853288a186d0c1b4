"""Does a model use the circle? Adding on a cycle, with the circle of the name's state moved."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


# Built-in tasks of adding on a cycle, by name.
TASK_NAMES = ("weekdays", "months", "embedded: days", "embedded: months", "embedded: hours")


@dataclass(frozen=True)
class CirclePatch(Result):
    """The state at the name is replaced, at one depth, so that it says another name.

    difference: logit of the right answer minus logit of the answer for the new name; below 0 the
    change has won. answered: share of the changed prompts whose best name is that of the new
    answer. Row 0 is what enters the first block, row l what leaves block l - 1. Control: the same
    length along a random plane instead of the circle's.
    """

    name: ClassVar[str] = "circle_patch"
    task: str
    about: str
    template: str
    example: str
    names: tuple[str, ...]
    steps: tuple[str, ...]
    conditions: tuple[str, ...]
    turns: tuple[int, ...]  # circles moved: how often each goes round with the names
    k: int
    seed: int
    n_prompts: int
    n_right: int  # whose best name is right; only these are changed
    n_pairs: int  # (prompt, new name) that were changed
    accuracy: float  # share of prompts whose best token of all is right
    accuracy_among: float  # share whose best name is right
    step_accuracy: np.ndarray  # [step] of the names
    right: np.ndarray  # [name, step] is the best name the right one?
    difference: np.ndarray  # [row, condition] logits, mean over the pairs
    difference_low: np.ndarray  # 95 %, pairs drawn again
    difference_high: np.ndarray
    answered: np.ndarray  # [row, condition] 0 to 1
    error: np.ndarray  # [row] held-out angular error of the names at their own token, radians
    error_low: np.ndarray  # [row] 5 % of other orders are below
    answer_error: np.ndarray  # [row] the same for the answers at the last token
    answer_low: np.ndarray  # [row]

    @property
    def able(self) -> bool:
        """Does it choose the right name more than half of the time?"""
        return self.accuracy_among > 0.5

    @property
    def best(self) -> int:
        """Row where the moved circle does most."""
        return int(self.difference[:, self.conditions.index("circle")].argmin())

    def to_frame(self) -> "pd.DataFrame":
        """One row per depth and condition."""
        import pandas as pd

        n, k = self.difference.shape
        table = {"row": np.repeat(np.arange(n), k), "condition": np.tile(self.conditions, n)}
        for name in ("difference", "difference_low", "difference_high", "answered"):
            table[name] = getattr(self, name).ravel()
        return pd.DataFrame(table)
