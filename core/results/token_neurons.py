"""The strongest neurons of every layer at one token, and what they write."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class TokenNeurons(Result):
    """Neurons by |activation| x ||what they write||, that is by how far they move the stream.

    Control: `random_write` is the same size of write averaged over `n_random` neurons of the
    layer taken at random at the same token.
    """

    name: ClassVar[str] = "token_neurons"
    tokens: tuple[str, ...]
    position: int
    writes: tuple[tuple[tuple[str, ...], ...], ...]  # [layer][k] top pieces the neuron writes
    suppresses: tuple[tuple[tuple[str, ...], ...], ...]  # [layer][k] bottom pieces
    n_reference: int  # tokens of the reference text behind `peak`
    n_random: int
    neuron: np.ndarray  # [layer, k] int64
    activation: np.ndarray  # [layer, k] activation units, signed
    peak: np.ndarray  # [layer, k] observed maximum of |activation| (reference text and this text)
    write: np.ndarray  # [layer, k] |activation| x norm of the write vector, stream units
    random_write: np.ndarray  # [layer] mean of `write` over random neurons
    stack: str = ""  # "enc" when the layers are those of an encoder beside a decoder

    def to_frame(self) -> "pd.DataFrame":
        """One row per neuron: its site, activation, peak, size of write and what it writes."""
        import pandas as pd

        prefix = f"{self.stack}." if self.stack else ""
        layers, ranks = np.indices(self.neuron.shape).reshape(2, -1)
        rows = [
            {
                "site": f"{prefix}L{layer}.neuron[{self.neuron[layer, rank]}]",
                "activation": float(self.activation[layer, rank]),
                "peak": float(self.peak[layer, rank]),
                "write": float(self.write[layer, rank]),
                "random_write": float(self.random_write[layer]),
                "writes": " ".join(self.writes[layer][rank]),
                "suppresses": " ".join(self.suppresses[layer][rank]),
            }
            for layer, rank in zip(layers.tolist(), ranks.tolist(), strict=True)
        ]
        return pd.DataFrame(rows)
