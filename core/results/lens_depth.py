"""The logit lens over many prompts: where the answer is settled, and what is said before."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from core.results.base import Result

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)


@dataclass(frozen=True)
class LensDepth(Result):
    """The state behind the last token of every prompt, read by final norm and unembedding.

    Row 0 of every layer axis is what enters the first block, row l what leaves block l - 1; the
    last row is the model's own answer, `final`. Controls: random states of equal norm, and other
    prompts' answers in the place of the prompt's own. Without answers `candidates` is empty and
    what belongs to them NaN.
    """

    name: ClassVar[str] = "lens_depth"
    task: str
    about: str
    seed: int
    sites: tuple[str, ...]  # [layer]
    prompts: tuple[str, ...]
    answers: tuple[str, ...]  # [prompt] or ()
    candidates: tuple[str, ...]  # the different answers, from which one is chosen
    finals: tuple[str, ...]  # [prompt] the model's own first choice
    tracked: tuple[str, ...]  # names of the lists of words
    notes: tuple[str, ...]
    n_shuffles: int
    entropy: np.ndarray  # [layer, prompt] nats
    kl: np.ndarray  # [layer, prompt] KL(final || layer), nats
    agrees: np.ndarray  # [layer, prompt] 1 where the first choice is the final one
    top_probability: np.ndarray  # [layer, prompt] of the layer's first choice
    final_rank: np.ndarray  # [layer, prompt] of the final choice, 0 = first
    final_probability: np.ndarray  # [layer, prompt]
    decided: np.ndarray  # [prompt] first row from which on the first choice is the final one
    share: np.ndarray  # [tracked, layer, prompt] probability of the list's words together
    answer_probability: np.ndarray  # [layer, prompt]
    answer_rank: np.ndarray  # [layer, prompt] of the answer's best token, 0 = first
    exit_accuracy: np.ndarray  # [layer] share whose most probable candidate is the answer
    exit_low: np.ndarray  # 95 %, Wilson
    exit_high: np.ndarray
    control_exit_accuracy: np.ndarray  # [shuffle, layer] the answers of other prompts
    control_answer_probability: np.ndarray  # [layer] mean over shuffles
    random_entropy: np.ndarray  # [layer] mean over prompts
    random_agreement: np.ndarray  # [layer]
    random_final_probability: np.ndarray  # [layer]
    random_share: np.ndarray  # [tracked, layer]

    def exits(self, threshold: float) -> tuple[float, float]:
        """(share of the blocks saved, share that still say the final choice) when every prompt
        stops behind the first block whose first choice has this probability.

        The embedding is left out: it echoes the prompt's own token, as sure as can be.
        """
        sure = self.top_probability >= threshold
        sure[0], sure[-1] = False, True
        at = sure.argmax(axis=0)
        last = len(sure) - 1
        kept = self.agrees[at, np.arange(len(at))]
        return float(1 - (at / last).mean()), float(kept.mean())
