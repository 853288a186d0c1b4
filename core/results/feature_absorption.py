"""Does a feature keep silent where another stands in for it? Rates beside shuffled rows."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class FeatureAbsorption(Result):
    """Per class (a letter, or one concept): its main features, and where others stand in for them.

    A held-out text of the class that a probe gets right is silent when no main feature fires on
    it, absorbed when in addition the feature that writes most along the probe's direction writes at
    least 0.4 of what the text has there. `fraction` is the mean share of what main features and
    up to three absorbers write that absorbers write. Control: the decoder's rows dealt to other
    features, `n_shuffles` times.
    """

    name: ClassVar[str] = "feature_absorption"
    dictionary: str
    site: str
    task: str
    n_texts: int
    n_shuffles: int
    spelling: float  # share of words whose first letter the model names; NaN where not asked
    classes: tuple[str, ...]
    texts: tuple[str, ...]  # the absorbed ones
    main: tuple[tuple[int, ...], ...]  # [class] main features
    f1: np.ndarray  # [class] of a probe on the main features, held out
    probe_f1: np.ndarray  # [class] of the probe on all that the dictionary reads, held out
    n_right: np.ndarray  # [class] held-out texts of the class that the probe gets right
    silent: np.ndarray  # [class] share of these with all main features silent
    absorbed: np.ndarray  # [class] share of these that are absorbed
    fraction: np.ndarray  # [class] mean absorbed fraction
    chance: np.ndarray  # [class] mean share absorbed with rows shuffled
    chance_high: np.ndarray  # [class] 95th percentile
    text_class: np.ndarray  # [absorbed text]
    absorber: np.ndarray  # [absorbed text] feature
    share: np.ndarray  # [absorbed text] of what the text has along the direction

    def to_frame(self) -> "pd.DataFrame":
        """One row a class."""
        import pandas as pd

        names = ("f1", "probe_f1", "n_right", "silent", "absorbed", "fraction", "chance")
        columns = {name: getattr(self, name) for name in names}
        return pd.DataFrame({"class": self.classes, "main": self.main, **columns})
