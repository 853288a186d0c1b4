"""How well directions read a concept, and how far they move what is written."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class DetectGuide(Result):
    """Directions of `methods` at some layers' outputs, beside random ones of the same length.

    `rate` is the judge's mean probability that a continuation has the concept, `ratio` the
    perplexity of a neutral text over that without a push, `pnes` the range of
    (rate - base) / ratio over the strengths, fitted: the perplexity-normalised effect size.
    """

    name: ClassVar[str] = "detect_guide"
    concept: str
    about: str
    source: str
    positive: str
    negative: str
    position: str
    judge: str  # in words
    c: float
    seed: int
    methods: tuple[str, ...]
    prompts: tuple[str, ...]
    new_tokens: int
    grouped: bool
    n_texts: int
    n_positive: int
    n_groups: int
    n_folds: int
    n_random: int
    n_shuffles: int
    notes: tuple[str, ...]
    plain: str  # continuation of the first prompt without a push
    texts: tuple[tuple[tuple[str, ...], ...], ...]  # [method][layer][strength] of the first prompt
    layer: np.ndarray  # [layer]
    alpha: np.ndarray  # [strength] fractions of mean_norm
    mean_norm: np.ndarray  # [layer] mean length of the stream
    auc: np.ndarray  # [method, layer] held-out
    random_auc: np.ndarray  # [draw, layer] with the sign that suits the labels
    pnes: np.ndarray  # [method, layer]
    control_pnes: np.ndarray  # [draw, layer] random directions
    towards: np.ndarray  # [method, layer] 1: a positive push raises the rate, -1: it lowers it
    rate: np.ndarray  # [method, layer, strength]
    ratio: np.ndarray  # [method, layer, strength]
    control_rate: np.ndarray  # [draw, layer, strength]
    control_ratio: np.ndarray  # [draw, layer, strength]
    base: np.ndarray  # [layer] rate without a push
    judge_layer: np.ndarray  # [layer] whose probe judged, -1 where words did
    judge_separation: np.ndarray  # [layer] held-out AUC of that probe, NaN for words
    direction: np.ndarray  # [method, layer, d_model] length 1, towards positive
    rho: np.ndarray  # [1] rank correlation of auc and pnes over all cells
    rho_p: np.ndarray  # [1] how often shuffled cells reach it

    @property
    def chance(self) -> float:
        """The effect that 1 of 20 random directions exceeds."""
        return float(np.quantile(self.control_pnes, 0.95))

    @property
    def best_detector(self) -> tuple[int, int]:
        """(method, layer) of the highest AUC; of equals the earliest layer."""
        layer, method = divmod(int(self.auc.T.argmax()), len(self.methods))
        return method, layer

    @property
    def best_guide(self) -> tuple[int, int]:
        """(method, layer) of the largest effect in the direction of the concept."""
        sound = np.where(self.towards > 0, self.pnes, -1.0)
        layer, method = divmod(int(sound.T.argmax()), len(self.methods))
        return method, layer

    def to_frame(self) -> "pd.DataFrame":
        """One row a direction."""
        import pandas as pd

        rows, columns = np.indices(self.auc.shape).reshape(2, -1)
        return pd.DataFrame(
            {
                "method": [self.methods[row] for row in rows],
                "layer": self.layer[columns],
                "auc": self.auc.ravel(),
                "pnes": self.pnes.ravel(),
                "towards": self.towards.ravel(),
                "random_pnes": self.control_pnes.mean(axis=0)[columns],
            }
        )
