"""Scores of all heads from their weights: copying, suppressing, names, successors."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd

KINDS = {
    "ov_eigenvalue": "OV eigenvalue score",
    "copy_at_5": "copy@5",
    "suppress_at_5": "suppress@5",
    "copy_activation": "copying, on activations",
    "suppress_activation": "suppressing, on activations",
    "name_copy": "name copy@5",
    "name_suppress": "name suppress@5",
    "successor": "successor score",
    "successor_over_copy": "successor over copy",
    "successor_over_previous": "successor over predecessor",
}
SIGNED = ("ov_eigenvalue", "successor_over_copy", "successor_over_previous")


@dataclass(frozen=True)
class HeadScores(Result):
    """What every head's output matrices do with a token it sees, by its weights alone; and what
    it does with the token it looks at most, as activations show ("copy_activation",
    "suppress_activation": share of what it raises, or lowers, among the tokens of the text).

    `scores` and `control` by kind, [layer, head]; NaN where nothing can be said. Control: the same
    of `n_random` heads of Gaussian weights in each layer (mean; of the signed kinds mean |score|);
    on activations they are brought what the head's own attention brings.
    The successor scores are over the lists that the paper's replication uses, `by_list` for each.
    """

    name: ClassVar[str] = "head_scores"
    embedding: str  # "effective" or "raw": how tokens enter; layer 0 reads "raw" in any case
    against: str  # "unembedding" or "embedding": how what is written is read
    start: str  # the token in front of each, for "effective"
    n_vocabulary: int  # tokens the written vectors are ranked against
    n_eigen: int  # tokens the eigenvalue score is over
    n_tokens: int  # tokens behind copy@5 and suppress@5
    n_names: int  # names that are single tokens
    n_random: int
    n_copied: int  # queries behind copying on activations, 0 where no attention can be read
    copy_chance: float  # of that: one over the tokens of a text; NaN with none
    list_names: tuple[str, ...]
    list_sizes: tuple[int, ...]  # items that are single tokens
    list_dropped: tuple[int, ...]  # items that are not
    list_steps: tuple[int, ...]  # items with a next one: what is scored
    list_published: tuple[bool, ...]  # counted in the successor score
    list_chance: tuple[float, ...]
    chance: float  # of the successor score
    n_steps: int  # items behind the successor score
    scores: Mapping[str, np.ndarray]  # kind -> [layer, head]
    control: Mapping[str, np.ndarray]  # kind -> [layer, head]
    by_list: Mapping[str, np.ndarray]  # list -> [layer, head] successor score; {} without lists
    stack: str = ""

    def sites(self) -> tuple[str, ...]:
        """Addresses of the heads, layer by layer."""
        layers, heads = self.scores["copy_at_5"].shape
        prefix = f"{self.stack}." if self.stack else ""
        return tuple(f"{prefix}L{n}.head[{h}]" for n in range(layers) for h in range(heads))

    def to_frame(self) -> "pd.DataFrame":
        """One row per head: every score beside its control."""
        import pandas as pd

        columns: dict[str, object] = {"site": self.sites()}
        for kind, values in self.scores.items():
            columns |= {kind: values.ravel(), f"{kind}_control": self.control[kind].ravel()}
        return pd.DataFrame(columns)
