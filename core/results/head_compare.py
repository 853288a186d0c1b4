"""Two heads on one text: how alike they look and write, and what each and both cause."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd

# measure -> what it is; each is 1 for a head beside itself.
MEASURES: dict[str, str] = {
    "common": "share of their attention that lies on the same tokens",
    "pattern": "correlation of their patterns, less uniform attention",
    "cosine": "cosine of what they write, mean over tokens",
    "output": "correlation of what they write, less its mean over tokens",
}
CASES = ("first", "second", "both")  # heads that are ablated


@dataclass(frozen=True)
class HeadCompare(Result):
    """Two heads, `heads` their sites, beside the other heads of their two layers.

    `alike` of every measure; `others` and `most`: mean and largest of the same for either head
    beside each of the `n_others` other heads of the two layers, NaN without any. Tokens that see
    themselves alone count in none. `effect`: nats of log p(answer) lost when the heads of a case
    are ablated; `control`: the stream moved as far in random directions inside other heads.
    `pattern` is pooled to cells of `step` tokens, the largest weight of each; `difference` is the
    first minus the second in 255ths, of each cell the largest in size.
    """

    name: ClassVar[str] = "head_compare"
    heads: tuple[str, str]
    tokens: tuple[str, ...]
    special: tuple[bool, ...]
    position: int
    answer: str  # "" where the model foretells nothing
    to: str
    n_controls: int
    n_others: int
    step: int  # tokens of a cell
    alike: np.ndarray  # [measure]
    others: np.ndarray  # [measure]
    most: np.ndarray  # [measure]
    effect: np.ndarray  # [case] nats
    control: np.ndarray  # [case] nats, mean over the controls
    pattern: np.ndarray  # [2, cell, cell] uint8, weight = value / 255
    difference: np.ndarray  # [cell, cell] int16

    @property
    def together(self) -> tuple[float, float]:
        """What both cost beyond the sum of each, in nats, and the same of the control.

        Above 0 one stands in for the other; below 0 they work through each other.
        """
        first, second, both = self.effect.tolist()
        own = both - first - second
        first, second, both = self.control.tolist()
        return own, both - first - second

    def to_frame(self) -> "pd.DataFrame":
        """One row per measure, then one per case of ablation."""
        import pandas as pd

        return pd.DataFrame(
            {
                "what": [*MEASURES, *(f"effect/{case}" for case in CASES)],
                "value": [*self.alike, *self.effect],
                "control": [*self.others, *self.control],
                "control_most": [*self.most, *[np.nan] * len(CASES)],
            }
        )
