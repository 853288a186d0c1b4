"""Clusters of dictionary features whose tokens lie on a shape that cannot be split."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Irreducible(Result):
    """Clusters by how irreducible the tokens are that they write, best first.

    Each token on which a feature of the cluster fires is written by the cluster's features alone;
    of these points the planes of components (1, 2), (2, 3), (3, 4), (4, 5) are judged. score: mean
    of (1 - mixture) x separability (its bias taken away) over the planes. Control:
    random clusters of like size; p says how many of them score as high.
    """

    name: ClassVar[str] = "irreducible"
    dictionary: str
    site: str
    clusters_by: str  # "neighbours" or "spectral"
    threshold: float  # least cosine of linked features
    corpus: str
    n_tokens: int
    n_features: int
    n_clusters: int  # of two features and more
    n_judged: int  # with enough tokens
    n_random: int
    most_tokens: int
    seed: int
    planes: tuple[tuple[int, int], ...]
    words: tuple[tuple[str, ...], ...]  # [cluster] its commonest tokens
    drawn: tuple[tuple[str, ...], ...]  # [shown] token of every point drawn
    passages: tuple[tuple[str, ...], ...]  # [shown] the token in its passage
    features: tuple[tuple[int, ...], ...]  # [cluster]
    score: np.ndarray  # [cluster] bits, best first
    p: np.ndarray  # [cluster] share of random ones of like size that score as high
    size: np.ndarray  # [cluster] features
    count: np.ndarray  # [cluster] tokens
    cosine: np.ndarray  # [cluster] mean between its features' decoder rows
    separability: np.ndarray  # [cluster, plane] bits, NaN where a plane is degenerate
    mixture: np.ndarray  # [cluster, plane] 0 to 1
    variance: np.ndarray  # [cluster, 5] share of each component
    random_score: np.ndarray  # [random]
    random_size: np.ndarray  # [random]
    random_separability: np.ndarray  # [random] mean over planes
    random_mixture: np.ndarray  # [random]
    points: np.ndarray  # [shown, point, 5] components of some tokens, NaN where there are fewer

    @property
    def n_shown(self) -> int:
        """Clusters whose points can be drawn."""
        return len(self.points)

    def to_frame(self) -> "pd.DataFrame":
        """One row per cluster."""
        import pandas as pd

        table = {name: getattr(self, name) for name in ("score", "p", "size", "count", "cosine")}
        for number, (one, other) in enumerate(self.planes):
            table[f"separability {one}-{other}"] = self.separability[:, number]
            table[f"mixture {one}-{other}"] = self.mixture[:, number]
        words = [", ".join(each) for each in self.words]
        features = [" ".join(map(str, each)) for each in self.features]
        return pd.DataFrame(table | {"words": words, "features": features})
