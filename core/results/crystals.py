"""Crystals: do the offsets of many relations fall into one cluster each, once distractors go?"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Crystals(Result):
    """Row 0 of every row axis is what enters the first block, row l what leaves block l - 1; the
    last is the unembedding where `rows` says so.

    Silhouettes (-1 to 1) of offsets labelled by their relation: of the standardised offsets as they
    are, and on 2, 3, ... linear discriminants fitted on half of the pairs, for that half and for
    the other. Control: the same with the relations dealt out anew; in sample it is high as well.
    """

    name: ClassVar[str] = "crystals"
    concept: str
    relations: tuple[str, ...]
    rows: tuple[str, ...]
    first: tuple[str, ...]  # [pair]
    second: tuple[str, ...]  # [pair]
    dropped: tuple[tuple[str, str], ...]
    contexts: tuple[str, ...]
    read: str
    prepare: str
    project_out: tuple[str, ...]
    distractors: tuple[str, ...]
    n_splits: int
    n_permuted: int
    seed: int
    notes: tuple[str, ...]
    label: np.ndarray  # [pair] relation
    held: np.ndarray  # [pair] bool: not in the half that the drawn discriminants were fitted on
    n_pairs: np.ndarray  # [row] pairs with vectors there
    n_discriminants: np.ndarray  # [count] 2, 3, ...
    raw: np.ndarray  # [row] silhouette of the standardised offsets
    raw_control: np.ndarray  # [row] the same, relations dealt out anew, mean
    train: np.ndarray  # [row, count] in sample, mean over splits
    held_out: np.ndarray  # [row, count]
    train_control: np.ndarray  # [row, count] relations dealt out anew, mean
    control: np.ndarray  # [row, count] held out, mean
    control_high: np.ndarray  # [row, count] 95 %
    correlation: np.ndarray  # [row, component, distractor] r with the raw components
    variance: np.ndarray  # [row, component]
    place: np.ndarray  # [row, pair, 2] first two components of the standardised offsets
    discriminant: np.ndarray  # [row, pair, 2] first two discriminants of one split

    @property
    def best(self) -> int:
        """Row of the highest held-out silhouette."""
        return int(np.nan_to_num(self.held_out, nan=-2).max(axis=1).argmax())

    def to_frame(self) -> "pd.DataFrame":
        """One row per depth and number of discriminants."""
        import pandas as pd

        n, k = self.held_out.shape
        table = {"row": np.repeat(self.rows, k), "discriminants": np.tile(self.n_discriminants, n),
                 "raw": np.repeat(self.raw, k)}  # fmt: skip
        for name in ("train", "held_out", "train_control", "control", "control_high"):
            table[name] = getattr(self, name).ravel()
        return pd.DataFrame(table)
