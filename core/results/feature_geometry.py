"""The cloud of a dictionary's rows: its spectrum, and lobes of features that go together."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class FeatureGeometry(Result):
    """Galaxy: eigenvalues of the covariance of unit decoder rows. Lobes: clusters of co-firing.

    slope: of log eigenvalue over log rank; dimension: (sum)^2 / sum of squares of the eigenvalues;
    clustering: nats by which the rows are closer to their neighbours than Gaussian ones with the
    same covariance (differential entropy by nearest neighbours). Control: random rows of the same
    number and width.

    lobes are found from which features fire in the same blocks of text; ami is their adjusted
    mutual information with clusters made from decoder rows alone, accuracy how well a decoder row
    says its lobe (held out). Controls: labels shuffled, 95th percentile.
    """

    name: ClassVar[str] = "feature_geometry"
    dictionary: str
    site: str
    n_features: int
    n_rows: int  # that the spectrum is of
    first_rank: int  # of the fit of the slope, counted from 1
    last_rank: int
    slope: float
    random_slope: float
    dimension: float
    random_dimension: float
    clustering: float  # nats
    random_clustering: float
    corpus: str
    affinity: str
    block: int  # tokens of a block at most
    n_blocks: int
    n_shuffles: int
    eigenvalues: np.ndarray  # [rank], their sum is 1
    random_eigenvalues: np.ndarray  # [rank]
    feature: np.ndarray  # [live] int64, features clustered
    k: np.ndarray  # [division] number of lobes
    lobe: np.ndarray  # [division, live] int64, the largest first
    ami: np.ndarray  # [division]
    ami_null: np.ndarray  # [division] 95th percentile of shuffled labels
    p: np.ndarray  # [division] share of shuffled labels at least as high
    accuracy: np.ndarray  # [division] held-out share of features whose row says their lobe
    chance: np.ndarray  # [division] 95th percentile for shuffled labels

    def to_frame(self) -> "pd.DataFrame":
        """One row per number of lobes."""
        import pandas as pd

        names = ("k", "ami", "ami_null", "p", "accuracy", "chance")
        return pd.DataFrame({name: getattr(self, name) for name in names})
