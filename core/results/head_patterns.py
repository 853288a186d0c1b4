"""Where all heads look on a text, each as a small picture."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class HeadPatterns(Result):
    """Patterns of all heads, pooled: a cell is the largest weight among `step` x `step` pairs.

    8 bits: weight = tile / 255. The control of `entropy` is that of uniform attention over what
    each token sees.
    """

    name: ClassVar[str] = "head_patterns"
    tokens: tuple[str, ...]
    step: int  # tokens a cell is wide and tall
    layers: np.ndarray  # [layer] int, those asked for
    tiles: np.ndarray  # [layer, head, query, key] uint8
    entropy: np.ndarray  # [layer, head] nats, mean over the tokens
    uniform_entropy: float  # nats
    strongest_query: np.ndarray  # [layer, head] of the largest weight between different tokens
    strongest_key: np.ndarray  # [layer, head]
    strongest: np.ndarray  # [layer, head] that weight
    stack: str = ""

    def site(self, row: int, head: int) -> str:
        """Address of a head, `row` counted among the layers asked for."""
        return f"{'enc.' if self.stack else ''}L{int(self.layers[row])}.head[{head}]"

    def to_frame(self) -> "pd.DataFrame":
        """One row per head."""
        import pandas as pd

        rows, heads = self.entropy.shape
        columns = {
            name: getattr(self, name).reshape(-1)
            for name in ("entropy", "strongest_query", "strongest_key", "strongest")
        }
        sites = [self.site(row, head) for row in range(rows) for head in range(heads)]
        return pd.DataFrame({"site": sites, **columns})
