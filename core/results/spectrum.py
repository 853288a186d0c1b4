"""How many dimensions a cloud of vectors uses, layer by layer, and how far it is from a ball."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd

MEASURES = {
    "participation": "participation ratio",
    "effective_rank": "effective rank",
    "stable_rank": "stable rank",
    "n90": "components for 90 % of the variance",
    "slope": "slope of the eigenvalues",
    "two_nn": "intrinsic dimension",
    "cosine": "mean cosine of random pairs",
    "centred_cosine": "mean cosine, centred",
    "top_1": "share of the largest dimension",
    "top_3": "share of the three largest dimensions",
    "norm": "mean length",
}


@dataclass(frozen=True)
class Spectrum(Result):
    """Eigenvalues of the covariance of each cloud, and what they come to.

    A cloud is the states of the corpus' tokens at one layer (layer 0 is the embedding), or the
    rows of one matrix. Every measure in `values` has under the same name in `control` what an
    isotropic Gaussian cloud of as many points gives; `fresh` is the same architecture before
    training, NaN where that was not asked for.

    slope      of log10 eigenvalue over log10 rank, ranks first_rank to last_rank
    slope_low, slope_high  95 % interval, jackknife over blocks of the corpus; NaN where not taken
    massive    per cloud the dimensions whose mean is more than 10 times the median |mean|
    """

    name: ClassVar[str] = "spectrum"
    of: str
    clouds: tuple[str, ...]  # names, as sites
    corpus: str
    n_points: int  # of each cloud
    n_sample: int  # points for distances and cosines
    first_rank: int
    last_rank: int
    massive: tuple[tuple[int, ...], ...]
    notes: tuple[str, ...]
    seed: int
    eigenvalues: np.ndarray  # [cloud, d] shares of the variance, largest first
    control_eigenvalues: np.ndarray  # [d] of an isotropic Gaussian cloud of as many points
    values: dict[str, np.ndarray]  # measure: [cloud]
    control: dict[str, np.ndarray]  # measure: [cloud]
    fresh: dict[str, np.ndarray]  # measure: [cloud]
    slope_low: np.ndarray  # [cloud]
    slope_high: np.ndarray  # [cloud]

    def to_frame(self) -> "pd.DataFrame":
        """One row per cloud: every measure, its control, fresh weights."""
        import pandas as pd

        table: dict[str, Any] = {"cloud": self.clouds}
        for name in MEASURES:
            table[name] = self.values[name]
            table[f"{name}_control"] = self.control[name]
            table[f"{name}_fresh"] = self.fresh[name]
        return pd.DataFrame(table)
