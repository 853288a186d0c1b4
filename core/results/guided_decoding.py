"""Texts decoded towards a concept: of the k likeliest tokens the one that reads most of it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class GuidedDecoding(Result):
    """Row r of [run, ...] is one text: `k` candidates a step, by the concept or a random guide.

    `probe` is the summed correlation of windows of states with the concept, over the windows that
    hold a new token, per new token so far. The control is guided by frames of random tokens and
    measured with the concept.
    """

    name: ClassVar[str] = "guided_decoding"
    concept: str
    other: str  # B of A - B, "" for a single concept
    read: str
    inner: str
    unit: bool
    prompt: str
    words: tuple[str, ...]  # of the concept, each once
    dropped: tuple[tuple[str, str, str], ...]
    guides: tuple[str, ...]  # [run] "concept" or "random 1", ...
    texts: tuple[str, ...]  # [run] what was written
    tokens: tuple[tuple[str, ...], ...]  # [run][step]
    stopped: tuple[str, ...]  # [run] "length", "end token" or "context"
    most_tokens: int
    seed: int
    k: np.ndarray  # [run] candidates a step, 1 is greedy
    probe: np.ndarray  # [run, step] per new token, NaN behind the end
    own_probe: np.ndarray  # [run, step] the same with what guided the run
    rank: np.ndarray  # [run, step] of the token taken, 0 is the likeliest; -1 behind the end
    surprise: np.ndarray  # [run] mean -log probability of its tokens, nats

    @property
    def final(self) -> np.ndarray:
        """[run] probe per new token at the end of each text; NaN for an empty one."""
        known = np.isfinite(self.probe)
        last = known.shape[1] - 1 - known[:, ::-1].argmax(axis=1)
        return np.where(known.any(axis=1), self.probe[np.arange(len(last)), last], np.nan)

    def to_frame(self) -> "pd.DataFrame":
        """One row per text."""
        import pandas as pd

        return pd.DataFrame(
            {
                "guide": self.guides,
                "k": self.k,
                "probe": self.final,
                "surprise": self.surprise,
                "text": self.texts,
            }
        )
