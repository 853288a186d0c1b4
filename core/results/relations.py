"""Are relations parallel offsets? Several relations at every depth, and what analogies prove."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class RelationOffsets(Result):
    """Row 0 of every row axis is what enters the first block, row l what leaves block l - 1; the
    last is the unembedding where `rows` says so. NaN: fewer than three pairs have vectors there.

    concentration: mean cosine of two offsets of a relation. Control: second sides dealt out anew;
    it is far from 0, since all offsets still share the difference of the two means. consistency:
    AUC of true cosines against those of mixed pairs, which discounts that; control: mixed pairs
    against mixed pairs. accuracy: see `numbers`; the last of them is a control, and so is the
    third, the nearest neighbour of the third word without any analogy.
    """

    name: ClassVar[str] = "relations"
    concept: str
    about: str
    source: str
    relations: tuple[str, ...]
    rows: tuple[str, ...]
    words: tuple[str, ...]
    dropped: tuple[tuple[str, str], ...]
    contexts: tuple[str, ...]
    read: str
    prepare: str
    project_out: tuple[str, ...]
    methods: tuple[str, ...]
    numbers: tuple[str, ...]
    distractors: tuple[str, ...]
    vocabulary: int  # tokens beside the words that an analogy may answer in the unembedding
    n_permuted: int
    seed: int
    notes: tuple[str, ...]
    pair: np.ndarray  # [pair, 2] word numbers
    label: np.ndarray  # [pair] relation
    n_pairs: np.ndarray  # [row, relation] that have vectors there
    concentration: np.ndarray  # [row, relation] -1 to 1
    concentration_low: np.ndarray  # 95 %, pairs drawn again
    concentration_high: np.ndarray
    permuted: np.ndarray  # [row, relation] mean concentration of mixed pairs
    permuted_high: np.ndarray  # 95 % of them are below
    consistency: np.ndarray  # [row, relation] AUC, 0 to 1
    consistency_control: np.ndarray  # mean
    consistency_high: np.ndarray  # 95 % of mixed pairs are below
    one_dimension: np.ndarray  # [row, relation] share of the centred offsets' variance, first axis
    one_dimension_control: np.ndarray  # of mixed pairs
    common: np.ndarray  # [row, relation] share of the offsets' square that is their mean
    accuracy: np.ndarray  # [row, relation, method, number] 0 to 1
    n_questions: np.ndarray  # [row, relation]
    n_candidates: np.ndarray  # [row] words and tokens an answer is chosen from
    correlation: np.ndarray  # [row, component, distractor] Pearson's r with all offsets' components
    variance: np.ndarray  # [row, component] share of the variance of all offsets
    cosine: np.ndarray  # [row, relation, relation] between mean offsets
    direction: np.ndarray  # [row, relation, d_model] mean offset, length 1

    @property
    def best(self) -> int:
        """Row with the highest mean consistency, of those where most relations have vectors."""
        known = np.isfinite(self.consistency)
        n = known.sum(axis=1)
        mean = np.where(known, self.consistency, 0).sum(axis=1) / np.maximum(n, 1)
        return int(np.where(n == n.max(), mean, -1).argmax())

    def parallel(self, row: int) -> np.ndarray:
        """[relation] are its offsets more alike than mixed ones, both ways of asking?"""
        found: np.ndarray = (self.consistency[row] > self.consistency_high[row]) & (
            self.concentration_low[row] > self.permuted_high[row]
        )
        return found

    def to_frame(self) -> "pd.DataFrame":
        """One row per depth and relation; accuracies of both methods in columns."""
        import pandas as pd

        n, k = self.concentration.shape
        table = {
            "row": np.repeat(self.rows, k),
            "relation": np.tile(self.relations, n),
        }
        for name in (
            "n_pairs", "concentration", "concentration_low", "concentration_high", "permuted",
            "consistency", "consistency_control", "one_dimension", "one_dimension_control",
            "common", "n_questions",
        ):  # fmt: skip
            table[name] = getattr(self, name).ravel()
        for m, method in enumerate(self.methods):
            for a, what in enumerate(self.numbers):
                table[f"{method}, {what}"] = self.accuracy[:, :, m, a].ravel()
        return pd.DataFrame(table)
