"""What every feature of a dictionary does in a text: how often it fires and how strongly."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Gallery(Result):
    """Statistics [feature] of one pass. Activations are the dictionary's own; times `lengths`
    they are what a feature writes.

    Control: the same dictionary with the tokens turned at random in front of it, so that its
    directions are random ones of the same lengths, angles and biases; on `n_random` tokens.
    """

    name: ClassVar[str] = "gallery"
    dictionary: str
    format: str  # of its files
    site: str
    out_site: str
    corpus: str
    n_tokens: int  # that count
    n_contexts: int
    n_documents: int
    window: int  # tokens of the longest context
    cut: bool  # the corpus goes on behind the last context
    mask: str  # which tokens do not count, in words
    sites: tuple[str, ...]  # of the changes in place
    gallery: str  # names the pass; other analyses with the same options read it
    folder: str
    share: float  # of the text that was read: below 1 while it grows
    codes: bool  # every activation is kept
    n_bytes_kept: int  # on disk, all of it
    bytes_per_feature: float  # without the text and the activations of every token
    n_clamped: int  # activations beyond float16 among those kept
    rare: int  # fewer firings than this are no statistics
    dense: float  # share of tokens above which a feature is dense
    n_random: int
    density: np.ndarray  # share of tokens on which it fires
    max_activation: np.ndarray
    mean_activation: np.ndarray  # where it fires; NaN: never
    count: np.ndarray  # tokens on which it fires, int64
    contribution: np.ndarray  # E[f²] ‖W_dec‖² / E‖x − x̄‖²
    half_density: np.ndarray  # [2, feature] by half of the documents
    lengths: np.ndarray  # of the decoder rows
    cosine: np.ndarray  # of encoder and decoder, NaN for transcoders between unlike sites
    random_density: np.ndarray
    random_mean: np.ndarray  # NaN: never fires

    @property
    def n_dead(self) -> int:
        return int((self.count == 0).sum())

    @property
    def n_rare(self) -> int:
        return int(((self.count > 0) & (self.count < self.rare)).sum())

    @property
    def n_dense(self) -> int:
        return int((self.density > self.dense).sum())

    def to_frame(self) -> "pd.DataFrame":
        """One row per feature."""
        import pandas as pd

        one = {name: array for name, array in self.arrays().items() if array.ndim == 1}
        a, b = self.half_density
        return pd.DataFrame(
            {"feature": np.arange(len(self.density)), **one, "density_a": a, "density_b": b}
        )
