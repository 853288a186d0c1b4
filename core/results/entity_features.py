"""Features that tell names a model knows from names it does not."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd

DIRECTIONS = ("known", "unknown")


@dataclass(frozen=True)
class EntityFeatures(Result):
    """s = share of known names at whose last token a feature fires, less that of unknown ones.

    First axis `DIRECTIONS` (for "unknown" the sign of s is turned). A general feature has the
    largest smallest s over the kinds of names. Features that fire on more than `most_density` of
    ordinary text are left out. Control: known and unknown dealt out anew within each kind.
    """

    name: ClassVar[str] = "entity_features"
    dictionaries: tuple[str, ...]
    sites: tuple[str, ...]
    kinds: tuple[str, ...]
    names: tuple[tuple[str, ...], ...]  # [kind] known ones first
    n_known: tuple[int, ...]  # [kind]
    most_density: float
    n_shuffles: int
    n_left_out: tuple[int, ...]  # [dictionary] features that fire too often
    tokens_known: float  # mean tokens of a name
    tokens_unknown: float
    best: np.ndarray  # [direction, dictionary, kind] largest s
    general: np.ndarray  # [direction, dictionary] largest smallest s
    control_best: np.ndarray  # [direction, dictionary, kind] 95th percentile of shuffles
    control_general: np.ndarray  # [direction, dictionary]
    feature: np.ndarray  # [direction, dictionary, k] most general first
    score: np.ndarray  # [direction, dictionary, k, kind] s
    adjusted: np.ndarray  # [direction, dictionary, k] over all kinds, number of tokens taken out
    density: np.ndarray  # [direction, dictionary, k] on the reference text

    def to_frame(self) -> "pd.DataFrame":
        """One row per listed feature."""
        import pandas as pd

        table = []
        for d, direction in enumerate(DIRECTIONS):
            for n, dictionary in enumerate(self.dictionaries):
                for k, feature in enumerate(self.feature[d, n].tolist()):
                    scores = dict(zip(self.kinds, self.score[d, n, k].tolist(), strict=True))
                    table.append(
                        {
                            "direction": direction,
                            "dictionary": dictionary,
                            "feature": feature,
                            "general": self.score[d, n, k].min(),
                            **scores,
                            "adjusted": self.adjusted[d, n, k],
                            "density": self.density[d, n, k],
                        }
                    )
        return pd.DataFrame(table)
