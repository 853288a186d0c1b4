"""Two pairs of a relation drawn as a parallelogram, at every depth."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Parallelogram(Result):
    """a is to b as c is to d, in the plane of the relation's mean offset (up) and c - a (across).

    cosine of b - a and d - c, and gap ||(b - a) - (d - c)|| over their mean length: 1 and 0 is a
    parallelogram, 1 and more a trapezoid. Control: c with the second words of other pairs in the
    place of d.
    """

    name: ClassVar[str] = "parallelogram"
    concept: str
    relation: str
    rows: tuple[str, ...]
    words: tuple[str, str, str, str]  # a, b, c, d
    chosen: tuple[int, int]  # their pairs
    first: tuple[str, ...]  # [pair]
    second: tuple[str, ...]  # [pair]
    dropped: tuple[tuple[str, str], ...]
    contexts: tuple[str, ...]
    read: str
    prepare: str
    project_out: tuple[str, ...]
    notes: tuple[str, ...]
    n_wrong: int  # other second words tried
    cosine: np.ndarray  # [row] NaN where one of the four has no vector
    gap: np.ndarray  # [row] 0 to 2
    control_cosine: np.ndarray  # [row] mean over other second words
    control_high: np.ndarray  # [row] 95 % of them are below
    control_gap: np.ndarray  # [row] mean
    control_low: np.ndarray  # [row] 5 % of them are below
    x: np.ndarray  # [row, pair, 2] first words in the plane, in units of the vectors
    y: np.ndarray  # [row, pair, 2] second words
    inside: np.ndarray  # [row] share of the four words' spread that the plane shows

    @property
    def best(self) -> int:
        """Row with the highest cosine."""
        return int(np.nan_to_num(self.cosine, nan=-2).argmax())

    def to_frame(self) -> "pd.DataFrame":
        """One row per depth."""
        import pandas as pd

        names = ("cosine", "gap", "control_cosine", "control_gap", "inside")
        return pd.DataFrame({"row": self.rows} | {name: getattr(self, name) for name in names})
