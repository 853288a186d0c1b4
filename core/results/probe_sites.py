"""Probes of every head and of every site by layer, and what the best of as many is by chance."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd

LEVEL = 0.05
FAMILIES = ("heads", "sites")


@dataclass(frozen=True)
class ProbeSites(Result):
    """A cell is one head's output or one site of a layer. Scores are of held-out texts.

    Control: the same on shuffled labels. Of many cells the best is high by chance, so a cell
    counts where shuffled labels reach it in the best of all cells of its family (all heads, or
    all other sites) in at most 1 of 20. `nested`: the best cell chosen on the other folds.
    """

    name: ClassVar[str] = "probe_sites"
    concept: str
    about: str
    source: str
    positive: str
    negative: str
    position: str
    stack: str
    seed: int
    grouped: bool
    n_texts: int
    n_positive: int
    n_groups: int
    n_folds: int
    n_shuffles: int
    n_layers: int
    n_heads: int
    cells: tuple[str, ...]  # site texts
    components: tuple[str, ...]  # [cell] "head", "attn_out", ..., "embedding"
    notes: tuple[str, ...]
    layer: np.ndarray  # [cell]
    unit: np.ndarray  # [cell] the head, -1 for other sites
    auc: np.ndarray  # [cell] 0 to 1
    auc_low: np.ndarray  # 95 %, groups drawn again
    auc_high: np.ndarray
    accuracy: np.ndarray  # [cell]
    control_auc: np.ndarray  # [shuffle, cell]
    untrained_auc: np.ndarray  # [cell] fresh weights; NaN where they were not asked for
    most: np.ndarray  # [family, shuffle] the best of its cells under shuffled labels
    p: np.ndarray  # [cell] how often that best reaches the cell, with the labels themselves
    nested: np.ndarray  # [family] AUC of the cell chosen without the fold it is judged on
    nested_control: np.ndarray  # [family, shuffle]
    floor_auc: np.ndarray  # [kind] largest class, words alone, the token alone
    gaps: Mapping[str, np.ndarray]  # component -> [layer, ...] difference of the class means

    def family(self, name: str) -> np.ndarray:
        """Which cells are of "heads", or of "sites", [cell] bool."""
        heads = np.array([component == "head" for component in self.components])
        return heads if name == "heads" else ~heads

    @property
    def beyond(self) -> np.ndarray:
        """[cell] bool: above what the best of the family reaches in 1 of 20 shuffles."""
        found: np.ndarray = (self.p <= LEVEL) & (self.auc_low > 0.5)
        return found

    def chance(self, name: str) -> float:
        """The AUC that the best of all cells reaches in 1 of 20 shuffles."""
        return float(np.quantile(self.most[FAMILIES.index(name)], 1 - LEVEL))

    def best(self, name: str) -> int | None:
        """The cell of a family with the highest AUC; None where the model has none."""
        here = np.flatnonzero(self.family(name) & np.isfinite(self.auc))
        return int(here[self.auc[here].argmax()]) if len(here) else None

    def grid(self, values: np.ndarray, component: str) -> np.ndarray:
        """Values [cell] of a component by layer, [layer] or [layer, head]; NaN where none is."""
        heads = component == "head"
        found = np.full((self.n_layers, self.n_heads if heads else 1), np.nan)
        for cell, name in enumerate(self.components):
            if name == component:
                found[self.layer[cell], max(0, self.unit[cell])] = values[cell]
        return found if heads else found[:, 0]

    def to_frame(self) -> "pd.DataFrame":
        """One row a cell."""
        import pandas as pd

        low, high = np.quantile(self.control_auc, (0.05, 0.95), axis=0)
        return pd.DataFrame(
            {
                "site": self.cells,
                "component": self.components,
                "layer": self.layer,
                "head": self.unit,
                "auc": self.auc,
                "auc_low": self.auc_low,
                "auc_high": self.auc_high,
                "accuracy": self.accuracy,
                "shuffled_5": low,
                "shuffled_95": high,
                "fresh_weights": self.untrained_auc,
                "p_of_all": self.p,
                "beyond_chance": self.beyond,
            }
        )
