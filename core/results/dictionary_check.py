"""Does a dictionary say what it should about this model's text, read as its files say?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class DictionaryCheck(Result):
    """One row for each way to read the files, the declared one first.

    Controls: the other ways themselves, and the mean of the site, whose FVU is 1.
    """

    name: ClassVar[str] = "dictionary_check"
    dictionary: str
    site: str
    out_site: str
    format: str
    model: str  # the one it says it was trained on
    notes: tuple[str, ...]
    rows: tuple[str, ...]  # "as declared", "bias not subtracted", ...
    readings: tuple[Mapping[str, Any], ...]  # as keyword arguments of api.add_dictionary
    better: int  # the row that fits clearly better, -1 for none
    sentence: str  # what follows
    warnings: tuple[str, ...]
    corpus: str
    n_contexts: int
    n_tokens: int
    n_outliers: int  # tokens left out: more than ten times as long as the median
    declared_l0: float  # 0: nothing is declared
    fvu: np.ndarray  # [row] share of the variance that is not reconstructed
    fvu_halves: np.ndarray  # [row, 2] of the contexts with even and with odd numbers
    l0: np.ndarray  # [row] features that fire at a token, mean
    dead: np.ndarray  # [row] share of the features that fire at no token

    def to_frame(self) -> "pd.DataFrame":
        """One row per way to read the files."""
        import pandas as pd

        return pd.DataFrame(
            {"reading": list(self.rows), "fvu": self.fvu, "l0": self.l0, "dead": self.dead}
        )
