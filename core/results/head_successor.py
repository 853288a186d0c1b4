"""One head and one ordered list: what each item makes it raise among the items."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class HeadSuccessor(Result):
    """Logits among the items of a list, written by one head for each item it may see.

    `hit`: the next item is raised most. Margins in standard deviations of a row: the next item
    above the item itself, above the previous one. Control: `control_score`, mean score of the
    other heads of the layer, and `random_score` of `n_random` heads of Gaussian weights; `chance`.

    `mod_*`: numbers by their last digit. A map from a number as it enters the head to its last
    digit, fitted on numbers 20 to 199 but for a random fifth; `mod_accuracy` on that fifth
    ("numbers"), on number words and months, and fitted to "shuffled" digits; chance 0.1.
    `mod_hit`: share of that fifth for which the head raises a number that ends in the digit behind
    the one it was given, when the digit's feature (mean of its numbers less that of all) is
    exchanged in front of the head. Control `mod_control`: as long, in random directions.
    """

    name: ClassVar[str] = "head_successor"
    layer: int
    head: int
    list_name: str
    embedding: str  # the one this layer was read with
    against: str
    start: str
    spelling: str  # the form of the items that most tokens exist for
    items: tuple[str, ...]
    n_dropped: int  # items that are no single token
    n_steps: int  # items with a next one
    score: float  # share of hits
    control_score: float  # NaN with a single head
    random_score: float
    n_random: int
    chance: float
    ids: np.ndarray  # [item] int64
    logits: np.ndarray  # [item seen, item raised] less the mean of the row
    step: np.ndarray  # [step] places of the items with a next one
    after: np.ndarray  # [step] places of their next ones
    hit: np.ndarray  # [step] bool
    rank: np.ndarray  # [step] of the next item, 1 is first
    over_copy: np.ndarray  # [step]
    over_previous: np.ndarray  # [step] NaN for an item without a previous one
    mod_note: str  # why there is nothing about last digits; "" where there is
    mod_accuracy: Mapping[str, float]  # on what -> share
    mod_n: tuple[int, int]  # numbers fitted to, numbers held out
    mod_unedited: float  # share raised right before anything was exchanged
    mod_n_random: int
    mod_hit: np.ndarray  # [digit it had, digit it was given] NaN where there is nothing
    mod_control: np.ndarray  # [digit it had, digit it was given] mean over the random directions
    stack: str = ""

    @property
    def site(self) -> str:
        """Its address."""
        return f"{'enc.' if self.stack else ''}L{self.layer}.head[{self.head}]"

    @property
    def mod_moved(self) -> tuple[float, float]:
        """(share of hits, of the control) where the digit given was another one."""
        other = ~np.eye(10, dtype=bool)
        return float(self.mod_hit[other].mean()), float(self.mod_control[other].mean())

    def to_frame(self) -> "pd.DataFrame":
        """One row per item with a next one."""
        import pandas as pd

        return pd.DataFrame(
            {
                "item": [self.items[place] for place in self.step.tolist()],
                "next": [self.items[place] for place in self.after.tolist()],
                "raised_most": [self.items[i] for i in self.logits[self.step].argmax(axis=1)],
                "hit": self.hit,
                "rank": self.rank,
                "over_copy": self.over_copy,
                "over_previous": self.over_previous,
            }
        )
