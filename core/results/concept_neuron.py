"""The neurons that write a concept, and whether the answers on it depend on what they write."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd

VERDICTS = ("specific", "not specific", "no more than random neurons")


@dataclass(frozen=True)
class ConceptNeuron(Result):
    """Candidates found by what they write, tested with noise on their write vectors.

    `loss` is by how much the noise raises the loss of the clean answer, nats per token; `rouge`
    and `bleu` compare the answer written under the noise with the clean one, 1 when equal. Units:
    the candidates, then random neurons of their layers with write vectors as long. `ratio` is the
    mean rise on the concept's questions over that on control questions (at least `least`).
    """

    name: ClassVar[str] = "concept_neuron"
    concept: str
    words: tuple[str, ...]
    sites: tuple[str, ...]  # [candidate]
    control_sites: tuple[str, ...]  # [control]
    writes: tuple[tuple[str, ...], ...]  # [candidate] top pieces, at the end that speaks of it
    verdict: tuple[str, ...]  # [candidate] one of `VERDICTS`
    notes: tuple[str, ...]  # how words of several tokens were read
    questions: tuple[str, ...]  # on the concept, then the controls
    answers: tuple[str, ...]  # [question] clean
    noised: tuple[str, ...]  # [question] of the first candidate, first draw
    noise: float  # standard deviation over the vector's root mean square; 0 when sigma was given
    sigma: float  # standard deviation asked for, 0 when it follows from `noise`
    n_draws: int
    least: float  # nats per token
    score: np.ndarray  # [candidate] z of the words among all tokens, signed
    chance: np.ndarray  # [2] 95th and 99th percentile of the best score of random word lists
    on_concept: np.ndarray  # [question] bool
    deviation: np.ndarray  # [unit] standard deviation of the noise
    loss: np.ndarray  # [unit, draw, question] nats per token
    rouge: np.ndarray  # [unit, draw, question] ROUGE-L, 0 to 1
    bleu: np.ndarray  # [unit, draw, question] BLEU, 0 to 1
    rise: np.ndarray  # [unit, kind] mean loss rise, kind 0 the concept's questions, 1 controls
    rise_low: np.ndarray  # [unit, kind] 95 % bootstrap over questions
    rise_high: np.ndarray  # [unit, kind]
    ratio: np.ndarray  # [unit]
    low: np.ndarray  # [unit] of the ratio, 95 % bootstrap over questions
    high: np.ndarray  # [unit]

    def to_frame(self) -> "pd.DataFrame":
        """One row per neuron: site, role, verdict, rise on and off the concept, ratio, ROUGE-L."""
        import pandas as pd

        n, m = len(self.sites), len(self.control_sites)
        on, off = self.on_concept, ~self.on_concept
        return pd.DataFrame(
            {
                "site": [*self.sites, *self.control_sites],
                "role": ["candidate"] * n + ["random"] * m,
                "verdict": [*self.verdict, *[""] * m],
                "rise on concept": self.rise[:, 0],
                "rise on controls": self.rise[:, 1],
                "ratio": self.ratio,
                "ratio low": self.low,
                "ratio high": self.high,
                "ROUGE-L on concept": self.rouge[:, :, on].mean(axis=(1, 2)),
                "ROUGE-L on controls": self.rouge[:, :, off].mean(axis=(1, 2)),
            }
        )
