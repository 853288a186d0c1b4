"""Contrasts as directions: does each hold on pairs left out, and which of them are independent."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd

METRICS = ("causal", "Euclidean", "random metric")
FEW, SHAKY = 5, 15  # pairs: below, a direction is a guess; below, it moves with each pair
FLOORED = 0.01  # share of raised eigenvalues beyond which the effective dimension is told


@dataclass(frozen=True)
class ConceptDirections(Result):
    """Rows of [metric, row, ...] are the contrasts, then random ones of 30 random pairs each.

    The first axis is causal (whitened), Euclidean and, for `cosine` alone, a random metric. A
    pair's `projection` is on the direction built without it; the same scores of random pairs are
    its control. The chance of a cosine: every word replaced by a random one, words that two
    contrasts share kept shared, since two contrasts of the same words are alike by that alone.
    """

    name: ClassVar[str] = "concept_directions"
    concept_set: str
    where: str  # "unembedding" or the site of the states
    layer: int  # as in the question; -1: the unembedding
    concepts: tuple[str, ...]
    controls: tuple[str, ...]  # names of the random contrasts
    pairs: tuple[tuple[str, str], ...]  # kept ones, contrast after contrast
    dropped: tuple[tuple[str, str, str, str], ...]  # (contrast, first, second, why)
    left_out: tuple[tuple[str, str], ...]  # (contrast, why)
    contexts: tuple[str, ...]  # of states; () at the unembedding
    vocabulary: int  # rows or tokens behind the covariance
    floored: int  # eigenvalues raised to 1e-6 of the largest
    shrunk: float
    n_random: int  # random pairs
    n_null: int  # draws behind the chance of a cosine
    seed: int
    site: str  # where `vector` is written
    n_pairs: np.ndarray  # [concept]
    pair_concept: np.ndarray  # [pair] number of its contrast
    projection: np.ndarray  # [metric 2, pair] in standard deviations of random pairs
    random_mean: np.ndarray  # [metric 2, row] of random pairs, in the same unit
    d_prime: np.ndarray  # [metric 2, row] (mean - random mean) / random sd
    auc: np.ndarray  # [metric 2, row] pairs against random pairs, 0.5 is chance
    positive: np.ndarray  # [metric 2, row] share of pairs above 0
    edges: np.ndarray  # [bin + 1] in standard deviations of random pairs
    random_density: np.ndarray  # [row, bin] of random pairs, causal
    cosine: np.ndarray  # [metric 3, row, row] signed
    null_mean: np.ndarray  # [metric 2, row, row] of the cosine of random words
    null_sd: np.ndarray  # [metric 2, row, row]
    significant: np.ndarray  # [metric 2, row, row] bool, false discovery rate 5 %
    spectrum: np.ndarray  # [d] eigenvalues of the covariance, largest first
    direction: np.ndarray  # [concept, d] float32 in whitened coordinates, length 1
    vector: np.ndarray  # [concept, d_model] float32 to add to the stream, length 1
    mean_norm: np.ndarray  # [1] mean length of the stream at `site`

    @property
    def rows(self) -> tuple[str, ...]:
        """Names of the rows: contrasts and random contrasts."""
        return (*self.concepts, *self.controls)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to be careful about, one sentence each."""
        said = []
        few = [n for n, size in zip(self.concepts, self.n_pairs, strict=True) if size < FEW]
        shaky = [
            name
            for name, size in zip(self.concepts, self.n_pairs, strict=True)
            if FEW <= size < SHAKY
        ]
        if few:
            said.append(f"fewer than {FEW} pairs, so little more than a guess: {', '.join(few)}")
        if shaky:
            said.append(f"fewer than {SHAKY} pairs, so each one counts: {', '.join(shaky)}")
        d = len(self.spectrum)
        if self.floored > FLOORED * d:
            said.append(
                f"{self.floored} of {d} eigenvalues were raised to the floor: the rows fill about "
                f"{d - self.floored} dimensions"
            )
        if self.shrunk:
            said.append(
                f"the covariance stands on {self.vocabulary:,} tokens, fewer than 20 a dimension, "
                f"so {self.shrunk:.0%} of it was replaced by its mean variance"
            )
        return tuple(said)

    @property
    def off_diagonal(self) -> np.ndarray:
        """[metric 3] mean |cosine| of two different contrasts; NaN with a single one."""
        n = len(self.concepts)
        if n < 2:
            return np.full(len(METRICS), np.nan)
        above = np.triu_indices(n, 1)
        return np.array([np.abs(part[:n, :n][above]).mean() for part in self.cosine])

    def to_frame(self) -> "pd.DataFrame":
        """One row per contrast and random contrast."""
        import pandas as pd

        n = len(self.concepts)
        sizes = [*self.n_pairs, *[self.n_control] * len(self.controls)]
        columns: dict[str, object] = {"concept": self.rows, "n_pairs": sizes}
        columns["control"] = [at >= n for at in range(len(self.rows))]
        for number, metric in enumerate(METRICS[:2]):
            for name in ("d_prime", "auc", "positive"):
                columns[f"{name}_{metric.lower()}"] = getattr(self, name)[number]
        return pd.DataFrame(columns)

    @property
    def n_control(self) -> int:
        """Pairs of each random contrast."""
        return 30
