"""How strongly every head reads what every earlier head writes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd

KINDS = {"q": "its queries", "k": "its keys", "v": "its values"}


@dataclass(frozen=True)
class HeadComposition(Result):
    """Composition of each pair of heads through the later one's queries, keys and values.

    `composition` by "q", "k", "v": [head, head] over all heads, layer after layer, row the earlier
    one, NaN unless it lies in a lower layer. Control: `random`, mean and standard deviation of
    `n_random` pairs of Gaussian factors of the same shapes.

    `channels`: single singular directions of the earlier head instead (its `n_channels` strongest),
    the farthest outliers of each kind, rows of equal length: "kind" (place in KINDS), "early",
    "late" (heads by number), "channel" (0 the strongest), "strength" (its share of the earlier
    circuit's power), "value" (0 to 1), "z" (standard deviations above `n_draws` random directions
    into the same late head), "outlier" (above all channels that this late head could hear).
    """

    name: ClassVar[str] = "head_composition"
    n_layers: int
    n_heads: int  # of a layer
    rotary: bool  # the content part at offset 0 is all that q and k stand for here
    normed: bool  # norms of queries and keys: their weights count, what they divide by does not
    n_random: int
    n_pairs: int
    composition: Mapping[str, np.ndarray]  # kind -> [head, head] 0 to 1
    random: np.ndarray  # [3 kinds, mean and standard deviation]
    n_channels: int
    n_heard: int  # pairs of a channel and a later head, of one kind
    n_draws: int
    outlier: float  # standard deviations from which on one counts
    n_outliers: tuple[int, ...]  # by kind: both above random directions and above the others
    random_outlier: tuple[float, ...]  # by kind: the farthest of as many random directions, 99 %
    channels: Mapping[str, np.ndarray]
    stack: str = ""

    def site(self, number: int) -> str:
        """Address of a head by its place among all of them."""
        layer, head = divmod(int(number), self.n_heads)
        return f"{'enc.' if self.stack else ''}L{layer}.head[{head}]"

    def strongest(self, kind: str, k: int = 20) -> list[tuple[int, int]]:
        """(earlier, later) of the k largest of a kind."""
        table = np.nan_to_num(self.composition[kind], nan=-1.0)
        first = np.argsort(-table, axis=None, kind="stable")[: min(k, self.n_pairs)]
        rows, columns = np.unravel_index(first, table.shape)
        return list(zip(rows.tolist(), columns.tolist(), strict=True))

    def channel_frame(self, kind: str) -> "pd.DataFrame":
        """The channels of a kind, the farthest outlier first."""
        import pandas as pd

        own = self.channels["kind"] == list(KINDS).index(kind)
        table = {name: array[own] for name, array in self.channels.items() if name != "kind"}
        for end in ("early", "late"):
            table[end] = np.array([self.site(i) for i in table[end].tolist()])
        return pd.DataFrame(table)

    def to_frame(self) -> "pd.DataFrame":
        """One row per pair and kind, with what random factors give."""
        import pandas as pd

        parts = []
        for number, (kind, table) in enumerate(self.composition.items()):
            early, late = np.nonzero(~np.isnan(table))
            mean, deviation = self.random[number]
            values = {
                "kind": kind,
                "early": [self.site(i) for i in early.tolist()],
                "late": [self.site(i) for i in late.tolist()],
                "composition": table[early, late],
                "random": mean,
                "z": (table[early, late] - mean) / max(deviation, 1e-12),
            }
            parts.append(pd.DataFrame(values))
        return pd.concat(parts, ignore_index=True)
