"""A direction added at several layers and strengths: does the text follow, and is it still text."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd

DEGENERATE = 0.3  # share of different pairs of neighbouring tokens; less is a loop


@dataclass(frozen=True)
class GuideResult(Result):
    """Strength is a fraction of the mean length of the stream at the layer.

    `success` is the judge's mean probability that a continuation has the concept, `effect` how far
    it went from the unguided `base` towards 1 (below strength 0: towards 0), `fluency` is
    min(1, PPL_0 / PPL) of the continuations under the unguided model, and `score` the harmonic mean
    of effect and fluency. The control adds random directions of equal length.
    """

    name: ClassVar[str] = "guide"
    concept: str
    method: str
    judge: str  # who judges, in words
    prompts: tuple[str, ...]
    new_tokens: int
    n_controls: int
    seed: int
    texts: tuple[tuple[tuple[str, ...], ...], ...]  # [layer][strength][prompt] continuations
    control_texts: tuple[tuple[tuple[str, ...], ...], ...]  # of the first control
    layer: np.ndarray  # [layer] int64
    alpha: np.ndarray  # [strength] fraction of mean_norm
    mean_norm: np.ndarray  # [layer] mean length of the stream
    natural: np.ndarray  # [layer] gap between the class means, fraction of mean_norm
    separation: np.ndarray  # [layer] held-out AUC: how well the direction detects
    judge_layer: np.ndarray  # [layer] the layer whose probe judged, -1 where words did
    judge_separation: np.ndarray  # [layer] held-out AUC of that probe, NaN for words
    base: np.ndarray  # [layer] the judge on unguided texts
    base_perplexity: np.ndarray  # [1]
    success: np.ndarray  # [layer, strength]
    effect: np.ndarray  # [layer, strength] 0 to 1
    fluency: np.ndarray  # [layer, strength] 0 to 1
    score: np.ndarray  # [layer, strength] 0 to 1
    distinct: np.ndarray  # [layer, strength] share of different token pairs
    control_success: np.ndarray  # [layer, strength] mean over the controls
    control_fluency: np.ndarray  # [layer, strength]
    control_score: np.ndarray  # [layer, strength]
    direction: np.ndarray  # [layer, d_model] float32, length 1

    @property
    def degenerate(self) -> np.ndarray:
        """[layer, strength] bool: the text goes round in circles, so its fluency means nothing."""
        return np.asarray(self.distinct < DEGENERATE)

    @property
    def best(self) -> tuple[int, int]:
        """(row, column) of the largest lead over random directions; loops do not count."""
        sound = np.where(self.degenerate, -1.0, self.score - self.control_score)
        row, column = np.unravel_index(int(sound.argmax()), sound.shape)
        return int(row), int(column)

    def to_frame(self) -> "pd.DataFrame":
        """One row per cell."""
        import pandas as pd

        rows, columns = np.indices(self.score.shape).reshape(2, -1)
        names = (
            *("success", "effect", "fluency", "score", "distinct"),
            *("control_success", "control_fluency", "control_score"),
        )
        table = {name: getattr(self, name).reshape(-1) for name in names}
        return pd.DataFrame({"layer": self.layer[rows], "alpha": self.alpha[columns], **table})
