"""Concepts as frames of words of several tokens: does a word lie nearer its own concept."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Frames(Result):
    """Correlations are tr(F1^T F2) / sqrt(rank1 rank2); a word is never part of its own concept.

    `random` words have as many tokens, drawn from the vocabulary; `others` are the words of all
    other concepts that are not in this one. `combined` is each word's correlation with A - B built
    without it.
    """

    name: ClassVar[str] = "frames"
    concept_set: str
    inner: str
    unit: bool
    most_tokens: int
    concepts: tuple[str, ...]
    words: tuple[str, ...]  # concept after concept
    dropped: tuple[tuple[str, str, str], ...]  # (concept, word, why)
    left_out: tuple[tuple[str, str], ...]
    pair: tuple[str, str]  # A and B of `combined`
    n_draws: int
    seed: int
    word_concept: np.ndarray  # [word]
    n_tokens: np.ndarray  # [word]
    relative_rank: np.ndarray  # [word] matrix rank / tokens
    own: np.ndarray  # [word] correlation with its concept, left out
    random: np.ndarray  # [word] of a random word of as many tokens with the same concept
    auc: np.ndarray  # [concept] own words against random ones, 0.5 is chance
    other_auc: np.ndarray  # [concept] own words against words of the other concepts
    correlation: np.ndarray  # [concept, concept] of the concepts' frames
    control_mean: np.ndarray  # [concept, concept] of random tokens, shared ones kept shared
    control_sd: np.ndarray  # [concept, concept]
    combined: np.ndarray  # [word] correlation with A - B; NaN for words of neither
    combined_auc: np.ndarray  # [1] words of A against words of B
    combined_control: np.ndarray  # [draw] the same with the two lists dealt out anew

    @property
    def beyond(self) -> np.ndarray:
        """[concept, concept] bool: off chance by more than two of its standard deviations."""
        off = np.abs(self.correlation - self.control_mean) > 2 * self.control_sd
        return np.asarray(off & ~np.eye(len(off), dtype=bool))

    def to_frame(self) -> "pd.DataFrame":
        """One row per word."""
        import pandas as pd

        return pd.DataFrame(
            {
                "concept": np.array(self.concepts)[self.word_concept],
                "word": self.words,
                "n_tokens": self.n_tokens,
                "relative_rank": self.relative_rank,
                "own": self.own,
                "random": self.random,
                "combined": self.combined,
            }
        )
