"""Features read as tokens: what each would say by itself, beside random directions."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.pieces import WithPieces

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class FeatureLens(WithPieces):
    """Tokens that features promote and suppress, with the final norm's weight.

    Scores: logit per unit of written length, the mean over the vocabulary taken away (`mean`),
    in front of the final norm's own scale, a bias and a cap. Controls: the 99th percentile of the
    largest |z|, and the mean and 99th percentile of the kurtosis, of random directions of the same
    length: `null_z[0]` in no direction more than another, `null_z[1]` with the covariance of the
    dictionary's own decoder rows.
    """

    name: ClassVar[str] = "feature_lens"
    dictionary: str
    features: tuple[int, ...]
    sites: tuple[str, ...]  # [feature]
    out_site: str  # where the dictionary writes
    through: str  # what leads from there to the stream, "" for the stream itself
    n_vocabulary: int
    n_null: int
    null_z: np.ndarray  # [2]
    null_kurtosis: np.ndarray  # [2] mean and 99th percentile, like the decoder rows
    mean: np.ndarray  # [feature] over the vocabulary
    deviation: np.ndarray  # [feature]
    skew: np.ndarray  # [feature]
    kurtosis: np.ndarray  # [feature] excess: 0 for a normal distribution
    top_ids: np.ndarray  # [feature, k] int64
    top_scores: np.ndarray  # [feature, k]
    top_z: np.ndarray  # [feature, k]
    top_cosine: np.ndarray  # [feature, k] with the token's own direction
    bottom_ids: np.ndarray  # [feature, k]
    bottom_scores: np.ndarray  # [feature, k]
    bottom_z: np.ndarray  # [feature, k]
    bottom_cosine: np.ndarray  # [feature, k]
    near_ids: np.ndarray  # [feature, k] tokens of largest cosine, whatever their length
    near_cosine: np.ndarray  # [feature, k]
    edges: np.ndarray  # [bin + 1] z, of the histogram of all tokens
    counts: np.ndarray  # [feature, bin] tokens

    def to_frame(self) -> "pd.DataFrame":
        """One row per feature, end and rank: token, score, z, cosine."""
        import pandas as pd

        parts = []
        for row, site in enumerate(self.sites):
            for end in ("top", "bottom"):
                ids, score, z, cosine = (
                    getattr(self, f"{end}_{kind}")[row] for kind in ("ids", "scores", "z", "cosine")
                )
                table = {"token": self.read(ids), "score": score, "z": z, "cosine": cosine}
                parts.append(pd.DataFrame({"site": site, "end": end, **table}))
        return pd.concat(parts, ignore_index=True)
