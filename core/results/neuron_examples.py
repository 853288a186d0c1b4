"""What every neuron does over a corpus: how often, how strongly, on which tokens."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class NeuronExamples(Result):
    """Statistics [layer, neuron] of one pass; `layers` names the rows.

    A neuron fires on a token when its activation lies above a tenth of its largest one; signed
    neurons fire below zero too, beyond a tenth of their smallest. `n_listed` contexts of largest
    value stand behind `top_share`: the share of their peaks that fall on the token most common
    among them. Control: the same share for `n_listed` random tokens of the corpus.
    """

    name: ClassVar[str] = "neuron_examples"
    corpus: str
    n_tokens: int
    n_contexts: int
    n_documents: int
    cut: bool  # the corpus goes on behind the last context
    window: int  # tokens of the longest context
    sites: tuple[str, ...]  # of the changes in place
    layers: tuple[int, ...]
    gallery: str  # names the pass; `neuron_texts` with the same options reads it
    resumed: int  # batches taken over from an earlier process
    n_listed: int
    random_share: tuple[float, float]  # mean and 99th percentile over random draws
    pieces: tuple[str, ...]  # the tokens that `top_piece` and `top_piece_negative` number
    density: np.ndarray  # share of tokens on which it fires, 0 to 1
    density_negative: np.ndarray  # share of tokens on which it fires below zero
    largest: np.ndarray  # activation units, signed
    smallest: np.ndarray
    p999: np.ndarray  # 99.9th percentile of |activation|
    mean: np.ndarray
    std: np.ndarray
    context: np.ndarray  # of the largest activation, int32
    position: np.ndarray  # token in that context, int32
    context_negative: np.ndarray  # of the smallest activation
    position_negative: np.ndarray
    top_piece: np.ndarray  # int32, the token most common among the largest; -1: never above zero
    top_share: np.ndarray  # its share among them, 0 to 1; NaN: never above zero
    top_piece_negative: np.ndarray
    top_share_negative: np.ndarray
    stack: str = ""

    def to_frame(self) -> "pd.DataFrame":
        """One row per neuron."""
        import pandas as pd

        prefix = f"{self.stack}." if self.stack else ""
        n_neurons = self.density.shape[1]
        columns = {name: array.reshape(-1) for name, array in self.arrays().items()}
        for name in ("top_piece", "top_piece_negative"):
            columns[name] = np.array([*self.pieces, ""], dtype=object)[columns[name]]
        sites = [f"{prefix}L{at}.neuron[{n}]" for at in self.layers for n in range(n_neurons)]
        return pd.DataFrame({"site": sites, **columns})
