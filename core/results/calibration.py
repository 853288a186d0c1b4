"""A probe's scores as probabilities at every layer, and how early it is sure."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd

THRESHOLDS = (0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
PARTS = tuple(number / 10 for number in range(1, 11))


@dataclass(frozen=True)
class Calibration(Result):
    """Row 0 of every layer axis is what enters the first block, row l what leaves block l - 1.

    All of held-out texts; "raw" is the probe as it is, everything else after its temperature.
    `perfect_ece` is the error that these very probabilities show when labels are drawn from them:
    with few texts it is not 0. Controls: labels shuffled; the same share of classes for every
    text; for stopping, all texts stopping at one place; for parts of texts, the words read so far.
    Parts are empty for models that read a text in both directions.
    """

    name: ClassVar[str] = "calibration"
    concept: str
    about: str
    source: str
    positive: str
    negative: str
    position: str
    c: float
    seed: int
    sites: tuple[str, ...]
    grouped: bool
    texts: tuple[str, ...]
    n_texts: int
    n_positive: int
    n_groups: int
    n_folds: int
    n_inner: int
    n_shuffles: int
    n_draws: int
    notes: tuple[str, ...]
    label: np.ndarray  # [text] 1 for positive
    accuracy: np.ndarray  # [layer] mean over folds
    auc: np.ndarray  # [layer]
    ece: np.ndarray  # [layer] expected calibration error, ten bins of the surer class
    raw_ece: np.ndarray
    perfect_ece: np.ndarray  # [layer] mean over draws
    perfect_ece_high: np.ndarray  # [layer] 95th percentile
    control_ece: np.ndarray  # [layer] labels shuffled
    brier: np.ndarray  # [layer] mean squared error of the probability
    raw_brier: np.ndarray
    control_brier: np.ndarray  # [layer] labels shuffled
    base_brier: np.ndarray  # [1] of the share of the positive class, for every text
    log_loss: np.ndarray  # [layer] nats a text
    raw_log_loss: np.ndarray
    temperature: np.ndarray  # [layer, fold] above 1: the probe is too sure
    margin: np.ndarray  # [layer, text] log odds after the temperature
    raw_margin: np.ndarray
    reliability: np.ndarray  # [layer, bin, 3] texts, mean probability, share positive
    raw_reliability: np.ndarray
    threshold: np.ndarray  # [threshold]
    stop_saved: np.ndarray  # [threshold] share of the blocks saved by stopping when so sure
    stop_accuracy: np.ndarray  # [threshold]
    part: np.ndarray  # [part] share of a text's tokens that have been read
    part_auc: np.ndarray  # [part, layer]
    part_accuracy: np.ndarray  # [part, layer]
    control_part_auc: np.ndarray  # [shuffle, part, layer]
    part_words_auc: np.ndarray  # [part] words so far, without the model
    read_saved: np.ndarray  # [layer, threshold] share of the tokens saved
    read_accuracy: np.ndarray  # [layer, threshold]

    @property
    def n_layers(self) -> int:
        """Blocks; the curves have one row more."""
        return len(self.sites) - 1

    @property
    def best(self) -> int:
        """The row with the least Brier score; of equals the earliest."""
        return int(self.brier.argmin())

    def trusted(self, layer: int) -> bool:
        """Is the error after the temperature no larger than chance makes it for a perfect one?"""
        return bool(self.ece[layer] <= self.perfect_ece_high[layer])

    def to_frame(self) -> "pd.DataFrame":
        """One row a layer."""
        import pandas as pd

        columns: dict[str, np.ndarray] = {"layer": np.arange(self.n_layers + 1)}
        for name in (
            "accuracy", "auc", "raw_ece", "ece", "perfect_ece", "perfect_ece_high", "control_ece",
            "raw_brier", "brier", "control_brier", "raw_log_loss", "log_loss",
        ):  # fmt: skip
            columns[name] = getattr(self, name)
        columns["temperature"] = self.temperature.mean(axis=1)
        return pd.DataFrame(columns)
