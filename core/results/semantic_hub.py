"""Do two forms of the same meaning come together in the middle of the model?"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


# Built-in pairs in two forms, by name.
FORM_SETS = (
    "embedded: languages and translations",
    "embedded: sums and dates asked in two ways",
    "forms",
)


@dataclass(frozen=True)
class SemanticHub(Result):
    """Row 0 of every layer axis is what enters the first block, row l what leaves block l - 1.

    similarity: mean cosine of the two forms of one meaning minus the mean cosine of forms of
    different meanings. centred: the same after each form's own mean is taken away, so that what
    all texts of a form share (their language) is gone. found: share of the first forms whose
    nearest second form is their own, centred. Controls: second forms dealt out anew, and the same
    architecture with fresh weights: two forms that share tokens are alike in it as well.
    """

    name: ClassVar[str] = "semantic_hub"
    concept: str
    about: str
    source: str
    groups: tuple[str, ...]
    first: tuple[str, ...]  # [pair] as given
    second: tuple[str, ...]  # [pair]
    dropped: tuple[tuple[str, str], ...]
    contexts: tuple[str, ...]
    read: str
    prepare: str
    continuation: str  # put behind texts that end with punctuation, "" where none does
    n_continued: int
    n_permuted: int
    seed: int
    notes: tuple[str, ...]
    group: np.ndarray  # [pair] number of the group
    n_pairs: np.ndarray  # [group]
    similarity: np.ndarray  # [layer, group] -2 to 2
    low: np.ndarray  # [layer, group] 95 %, pairs drawn again
    high: np.ndarray
    control_high: np.ndarray  # [layer, group] 95 % of mixed pairs are below (their mean is 0)
    centred: np.ndarray  # [layer, group]
    centred_low: np.ndarray
    centred_high: np.ndarray
    centred_control: np.ndarray  # [layer, group] 95 % of mixed pairs are below
    found: np.ndarray  # [layer, group] 0 to 1
    untrained: np.ndarray  # [layer, group] centred, with fresh weights; NaN where not made
    untrained_found: np.ndarray  # [layer, group]
    shared: np.ndarray  # [group] tokens two forms share (Jaccard), minus those of other meanings
    own: np.ndarray  # [layer, pair] cosine of a pair minus that of its first form with the others
    background: np.ndarray  # [layer, group] mean cosine of forms of different meanings

    @property
    def n_layers(self) -> int:
        """Blocks; the curves have one row more."""
        return len(self.similarity) - 1

    @property
    def best(self) -> np.ndarray:
        """[group] row where the centred forms are most alike."""
        found: np.ndarray = np.nan_to_num(self.centred, nan=-9).argmax(axis=0)
        return found

    def hub(self, group: int) -> bool:
        """Is its lower bound inside above mixed pairs, fresh weights and both ends?"""
        curve, row = self.centred[:, group], int(self.best[group])
        inside = 0 < row < self.n_layers
        chance = max(self.centred_control[row, group], np.nan_to_num(self.untrained[row, group]))
        least = self.centred_low[row, group]
        return bool(inside and least > max(chance, curve[0], curve[-1]))

    def to_frame(self) -> "pd.DataFrame":
        """One row per layer and group."""
        import pandas as pd

        n, k = self.similarity.shape
        table = {"row": np.repeat(np.arange(n), k), "pairs": np.tile(self.groups, n)}
        for name in (
            "similarity", "low", "high", "control_high", "centred", "centred_low", "centred_high",
            "centred_control", "found", "untrained", "untrained_found", "background",
        ):  # fmt: skip
            table[name] = getattr(self, name).ravel()
        return pd.DataFrame(table)
