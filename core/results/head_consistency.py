"""Does a head serve one concept: its strongest channels against lists of words."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class HeadConsistency(Result):
    """Concept consistency of every head, from its weights alone, and soft pruning by it.

    `score`: how many of a head's strongest `n_channels` of W_V W_O have among their `n_tokens`
    tokens more words of one and the same list than chance allows (hypergeometric, `level` divided
    by what was tried); `concept` is that list, a place in `names`, -1 for none. `control`: mean of
    the same score over random circuits of the same size.
    """

    name: ClassVar[str] = "head_consistency"
    side: str  # "write": tokens raised through the unembedding; "read": tokens of the embedding
    names: tuple[str, ...]  # of the lists
    sizes: tuple[int, ...]  # words of each that are tokens
    n_vocabulary: int  # whole words that tokens are drawn from
    n_channels: int
    n_tokens: int
    n_draws: int
    level: float
    tasks: tuple[str, ...]
    n_cases: tuple[int, ...]
    group_size: int  # heads in a group
    n_random: int  # random groups
    score: np.ndarray  # [layer, head] 0 to n_channels
    control: np.ndarray  # [layer, head]
    concept: np.ndarray  # [layer, head] place in names, -1 for none
    p: np.ndarray  # [layer, head, channel] smallest over lists and signs, not corrected
    best: np.ndarray  # [layer, head, channel] the list of that p
    token_ids: np.ndarray  # [layer, head, channel, token] of the better sign
    table_ids: np.ndarray  # [token] ids that occur, ascending
    table: tuple[str, ...]  # their pieces
    factors: np.ndarray  # [factor] what a group's heads are multiplied with
    lost: np.ndarray  # [group, factor, task] nats of log p; group 0 consistent, 1 not, then random

    def tokens(self, layer: int, head: int, channel: int) -> tuple[str, ...]:
        """The pieces of one channel, best first."""
        places = np.searchsorted(self.table_ids, self.token_ids[layer, head, channel])
        return tuple(self.table[place] for place in places.tolist())

    def to_frame(self) -> "pd.DataFrame":
        """One row per head."""
        import pandas as pd

        layers, heads = np.indices(self.score.shape).reshape(2, -1)
        pairs = zip(layers.tolist(), heads.tolist(), strict=True)
        return pd.DataFrame(
            {
                "site": [f"L{layer}.head[{head}]" for layer, head in pairs],
                "score": self.score.ravel(),
                "control": self.control.ravel(),
                "concept": [self.names[n] if n >= 0 else "" for n in self.concept.ravel()],
            }
        )
