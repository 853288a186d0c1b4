"""Concepts as vectors at one layer: their cosines, chance, and their items in a small space."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Geometry(Result):
    """A concept is the mean of its positive items minus that of its negative ones, or the mean of
    its positive items where it has none; items are centred over all items.

    Control: the same after the items were dealt out anew to the places of all concepts, sizes
    kept. `p` is two-sided: how often chance has a cosine at least as far from 0.
    """

    name: ClassVar[str] = "geometry"
    concepts: tuple[str, ...]
    site: str  # what the states are, as "L3.resid_post", or "embedding"
    prepare: str
    contexts: tuple[str, ...]  # ("{}",): texts as they are
    read: str
    items: tuple[str, ...]  # positive items, concept after concept, as `projection` has them
    n_positive: tuple[int, ...]  # [concept]
    n_negative: tuple[int, ...]  # [concept]
    dropped: tuple[tuple[str, str], ...]  # (item, why)
    n_draws: int
    seed: int
    cosine: np.ndarray  # [concept, concept]
    control_cosine: np.ndarray  # [concept, concept] mean over the draws
    control_spread: np.ndarray  # [concept, concept] standard deviation over the draws
    p: np.ndarray  # [concept, concept] two-sided, 1 on the diagonal
    split_half: np.ndarray  # [concept] cosine of the vectors of two halves of the items, NaN: one
    length: np.ndarray  # [concept] of the vector, relative to the mean length of a centred item
    vectors: np.ndarray  # [concept, d_model] float32, in the space after `prepare`
    projection: np.ndarray  # [item, 2 or 3] positive items on the components of all items
    concept_places: np.ndarray  # [concept, 2 or 3] the mean of a concept's positive items there
    explained: np.ndarray  # [2 or 3] share of the variance of all items
    concept_of: np.ndarray  # [item] number of its concept

    def to_frame(self) -> "pd.DataFrame":
        """One row per pair of concepts: cosine, its control, spread of it and p."""
        import pandas as pd

        first, second = np.triu_indices(len(self.concepts), k=1)
        return pd.DataFrame(
            {
                "concept": [self.concepts[i] for i in first],
                "other": [self.concepts[i] for i in second],
                "cosine": self.cosine[first, second],
                "control_cosine": self.control_cosine[first, second],
                "control_spread": self.control_spread[first, second],
                "p": self.p[first, second],
            }
        )
