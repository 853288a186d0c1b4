"""Which features fire on a pattern: found on half of the documents, scored on the other half."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class FeatureFires(Result):
    """How well each feature tells the target tokens from all others.

    Everything is chosen on half A of the documents and reported on half B. The table holds the
    features of at least `least_precision` and `least_recall` on A by recall, or, where there are
    none (`relaxed`), the best F1. Baselines: the neuron and the coordinate that are most precise
    on A at the recall of the table's first feature. Control: the marks turned round within each
    document, `len(control_f1)` times: `control_f1` is the best F1 of any feature on B,
    `chance_precision` the best precision of any at the least recall on A.
    """

    name: ClassVar[str] = "feature_fires"
    dictionary: str
    site: str
    target: str  # what was looked for, in words
    token: str  # which token of a match: last, first or all
    shift: int  # tokens behind it that are meant instead
    corpus: str
    n_tokens: tuple[int, int]  # halves A and B
    n_targets: tuple[int, int]
    targets: tuple[tuple[str, int], ...]  # the target tokens met most, and how often
    least_precision: float
    least_recall: float
    relaxed: bool
    n_found: int  # features above both limits on A
    n_beyond: int  # features whose F1 on B lies above every control
    union: tuple[int, ...]  # up to five features that together are best
    union_scores: tuple[float, float, float]  # precision, recall, F1 of firing of any, on B
    baselines: tuple[str, ...]  # sites of the best neuron and coordinate; () when not asked
    named: tuple[tuple[int, str], ...]  # (feature, label)
    feature: np.ndarray  # [hit] every feature that fires on a target of B
    precision: np.ndarray  # [hit] share of its firings on targets
    recall: np.ndarray  # [hit] share of the targets it fires on
    table: np.ndarray  # [k] features
    table_precision: np.ndarray  # [k] half B; NaN where it does not fire there
    table_recall: np.ndarray  # [k]
    table_f1: np.ndarray  # [k]
    found_precision: np.ndarray  # [k] half A
    found_recall: np.ndarray  # [k]
    threshold: np.ndarray  # [k] of best F1 on A, written length; 0: firing at all
    threshold_precision: np.ndarray  # [k] above it, half B
    threshold_recall: np.ndarray  # [k]
    threshold_f1: np.ndarray  # [k]
    density: np.ndarray  # [k] share of tokens it fires on
    baseline_precision: np.ndarray  # [baseline] half B
    baseline_recall: np.ndarray  # [baseline]
    baseline_f1: np.ndarray  # [baseline] of the best by F1, its own threshold
    control_f1: np.ndarray  # [shift]
    chance_precision: np.ndarray  # [shift]

    def to_frame(self) -> "pd.DataFrame":
        """The table: one row per feature."""
        import pandas as pd

        labels = dict(self.named)
        return pd.DataFrame(
            {
                "feature": self.table,
                "label": [labels.get(one, "") for one in self.table.tolist()],
                "precision": self.table_precision,
                "recall": self.table_recall,
                "f1": self.table_f1,
                "threshold": self.threshold,
                "threshold_precision": self.threshold_precision,
                "threshold_recall": self.threshold_recall,
                "threshold_f1": self.threshold_f1,
                "density": self.density,
            }
        )
