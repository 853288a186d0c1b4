"""All features of a dictionary laid out in the plane, and how far the picture may be trusted."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class FeatureMap(Result):
    """A place in the plane for every feature drawn; near ones should be alike, far ones say little.

    Trustworthiness (Venna and Kaski 2001): 1 when the nearest in the plane are the nearest in
    truth, about 0.5 for places at random; of this layout, of the first two principal components,
    and of random places. Control of the groups: the mean cosine within a group, and that of
    groups of random vectors found the same way.
    """

    name: ClassVar[str] = "feature_map"
    dictionary: str
    site: str
    by: str  # "decoder" or "encoder" rows, or "cofiring"
    method: str  # "neighbours" or "pca"
    n_features: int  # of the dictionary; what is drawn may be fewer
    n_neighbours: int
    n_tokens: int  # behind the densities, 0 without
    trust: tuple[float, float, float]  # layout, first two principal components, random
    kept: float  # share of each feature's neighbours that are its neighbours in the plane
    group_cosine: float
    random_group_cosine: float
    group_tokens: tuple[tuple[str, ...], ...]  # what the mean of a group promotes, () without lens
    families: tuple[str, ...]  # first parts of the labels, "" first for those without
    named: tuple[tuple[int, str], ...]  # (feature, label)
    feature: np.ndarray  # [point]
    x: np.ndarray  # [point]
    y: np.ndarray  # [point]
    group: np.ndarray  # [point] int16
    family: np.ndarray  # [point] int16, index into `families`
    density: np.ndarray  # [point] share of tokens it fires on, NaN where unknown
    near: np.ndarray  # [point, 3] the nearest features in truth
    near_cosine: np.ndarray  # [point, 3] (Jaccard index for "cofiring")

    def to_frame(self) -> "pd.DataFrame":
        """One row per feature drawn."""
        import pandas as pd

        labels = dict(self.named)
        return pd.DataFrame(
            {
                "feature": self.feature,
                "x": self.x,
                "y": self.y,
                "group": self.group,
                "label": [labels.get(one, "") for one in self.feature.tolist()],
                "density": self.density,
                "nearest": self.near[:, 0],
                "nearest_similarity": self.near_cosine[:, 0],
            }
        )
