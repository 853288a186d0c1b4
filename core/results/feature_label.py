"""What features respond to, said by rules that were found on one half and scored on the other."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd

LEVELS = ("fires", "fires strongly")  # above zero; above a quarter of its largest value
WEAK = 0.4  # held-out F1 below which no rule is offered as a label
NO_RULE, TOO_FEW, SILENT = "no rule above 0.4", "not enough data", "never fires on this text"


@dataclass(frozen=True)
class FeatureLabel(Result):
    """The best rule of each feature. First axis of most arrays: `LEVELS`.

    A rule is found on half A of the documents (F1 less 0.01 for each element of a set) and scored
    on half B: F1, precision, recall, and the share of the summed activation that it covers.
    `control_*`: the same search for as many firings at random tokens.
    """

    name: ClassVar[str] = "feature_label"
    dictionary: str
    site: str
    corpus: str
    n_tokens: tuple[int, int]  # that count, in half A and half B
    n_documents: tuple[int, int]
    families: tuple[str, ...]  # kinds of rules that were tried
    n_atoms: tuple[int, ...]  # predicates of each
    rule: tuple[tuple[str, ...], ...]  # [level][feature] in words, "" where none was found
    kind: tuple[tuple[str, ...], ...]  # [level][feature] its family
    other_rule: tuple[tuple[str, ...], ...]  # [feature][family]: "fires", all families; one or few
    wrong: tuple[tuple[tuple[str, str, str, str], ...], ...]  # [feature]: (what, before, token,
    # behind) where the rule fails on half B; "missed" or "false alarm"; of one feature or few
    least_fires: int  # firings that a half needs for a rule
    feature: np.ndarray  # [feature] its number
    fires: np.ndarray  # [level, half, feature] tokens
    f1: np.ndarray  # [level, feature] on half B; NaN without enough data
    f1_low: np.ndarray  # [level, feature] 95 %, bootstrap over documents; NaN for many features
    f1_high: np.ndarray  # [level, feature]
    precision: np.ndarray  # [level, feature]
    recall: np.ndarray  # [level, feature]
    weighted_recall: np.ndarray  # [level, feature] share of summed activation
    f1_found: np.ndarray  # [level, feature] on half A, less the cost
    control_f1: np.ndarray  # [level, feature] on half B
    control_f1_found: np.ndarray  # [level, feature] on half A, less the cost
    family_f1: np.ndarray  # [family, feature] "fires", half B

    def label(self, place: int, level: int = 0) -> str:
        """The label of the feature at a place of `feature`, or why it has none."""
        if not self.fires[0, :, place].sum():
            return SILENT
        score = self.f1[level, place]
        if np.isnan(score):
            return TOO_FEW
        return self.rule[level][place] if score >= WEAK else NO_RULE

    def to_frame(self) -> "pd.DataFrame":
        """One row per feature."""
        import pandas as pd

        return pd.DataFrame(
            {
                "feature": self.feature,
                "label": [self.label(place) for place in range(len(self.feature))],
                "rule": self.rule[0],
                "kind": self.kind[0],
                "f1": self.f1[0],
                "precision": self.precision[0],
                "recall": self.recall[0],
                "weighted_recall": self.weighted_recall[0],
                "control_f1": self.control_f1[0],
                "fires": self.fires[0].sum(axis=0),
                "strong_rule": self.rule[1],
                "strong_f1": self.f1[1],
            }
        )
