"""Which heads matter for a prompt or a concept: by what ablating them does, not by attention."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd

# Column -> what it is. What is drawn beside the effect; `nulls` hold what chance gives.
COLUMNS = {
    "direct": "direct effect on the answer (logits)",
    "kl": "KL(kept || ablated) (nats)",
    "attention": "largest attention weight of the token",
    "size": "length of what the head writes (stream units)",
    "d_prime": "write score d': distance of the sides, in their spread",
    "auc": "write score AUC",
    "share": "share of the concept's projection",
    "read_mass": "attention to tokens of the concept",
    "read_lift": "attention to them, over uniform",
    "read_gain": "how strongly the values take the concept in",
    "read_z": "that, in standard deviations of random directions",
    "read_cosine": "cosine of what comes out with what went in",
}


# What a head has to reach to be said to write, or to read, a concept; our defaults.
WRITES = {"separation": 0.9, "share": 0.05}
READS = {"read_lift": 2.0, "read_z": 2.0}


@dataclass(frozen=True)
class HeadRanking(Result):
    """Heads by the size of their effect.

    kind "prompt": effect is log p(answer) kept - ablated, in nats, at one token. kind "concept":
    the share of the concept's projection gap (mean over texts that have it less mean over texts
    that have not, along its direction at `layer`) that goes when the head is ablated; direction
    from one half of the texts, everything else on the other. NaN for heads that were not ablated.
    Control: the stream moved as far in a random direction inside another head of the layer.
    """

    name: ClassVar[str] = "head_ranking"
    kind: str
    about: str  # the answer, or the concept's name
    sides: tuple[str, ...]  # of a concept: what the two sets of texts are
    unit: str
    to: str  # what heads are ablated to
    position: str  # the token
    layer: int  # of a concept: behind which its direction is read, -1 of a prompt
    separation: float  # of a concept: AUC of the projection on texts it was not built from
    n_built: tuple[int, int]  # texts a side behind the direction
    n_texts: int  # texts that effects are measured on
    n_controls: int
    n_random: int  # random directions (random tokens of a prompt) behind `nulls`
    notes: tuple[str, ...]
    gap: float  # of a concept: distance of the sides along the direction, stream units
    effect: np.ndarray  # [layer, head]
    control: np.ndarray  # [layer, head] mean over the controls
    columns: Mapping[str, np.ndarray]  # [layer, head] each, see `COLUMNS`
    nulls: Mapping[str, np.ndarray]  # [layer, head], what chance gives, of some columns
    agreement: Mapping[str, float]  # column -> Spearman of its size with that of the effect
    start: float  # shares of the gap: what the embeddings bring, NaN where writers do not add up
    attention: np.ndarray  # [layer] shares of the gap; empty of a prompt
    mlp: np.ndarray  # [layer]
    stack: str = ""

    @property
    def order(self) -> tuple[tuple[int, int], ...]:
        """(layer, head) of the measured heads, the largest |effect| first."""
        flat = np.abs(self.effect).ravel()
        known = np.flatnonzero(np.isfinite(flat))
        best = known[np.argsort(-flat[known], kind="stable")]
        heads = self.effect.shape[1]
        return tuple((int(at) // heads, int(at) % heads) for at in best)

    @property
    def writes_and_reads(self) -> dict[str, np.ndarray]:
        """Of a concept: "writes" and "reads", bool [layer, head]; {} of a prompt.

        Writes: what it puts along the direction tells the sides apart (AUC, either way round) and
        is a share of the gap, beyond 95 % of random directions too. Reads: attention to the
        concept's tokens is that many times uniform, and its values take the direction in.
        """
        if self.kind != "concept":
            return {}
        apart = np.abs(self.columns["auc"] - 0.5) + 0.5
        share = np.abs(self.columns["share"])
        # A head that writes one thing tells the sides apart in any direction; its share does not.
        beyond = share > self.nulls["share"]
        writes = (apart >= WRITES["separation"]) & (share >= WRITES["share"]) & beyond
        nan = np.full_like(apart, np.nan)
        reads = np.ones_like(writes)
        for name, least in READS.items():
            reads &= np.nan_to_num(self.columns.get(name, nan), nan=-np.inf) >= least
        return {"writes": writes, "reads": reads}

    def labels_of(self, layer: int, head: int) -> tuple[str, ...]:
        """Those of one head."""
        return tuple(name for name, which in self.writes_and_reads.items() if which[layer, head])

    @property
    def noise(self) -> float:
        """95th percentile of |control|: what a random change of that size does."""
        known = np.abs(self.control[np.isfinite(self.control)])
        return float(np.quantile(known, 0.95)) if known.size else float("nan")

    def site(self, layer: int, head: int) -> str:
        prefix = f"{self.stack}." if self.stack else ""
        return f"{prefix}L{layer}.head[{head}]"

    def to_frame(self) -> "pd.DataFrame":
        """One row per measured head, the largest effect first."""
        import pandas as pd

        place = tuple(np.array(self.order, dtype=int).reshape(-1, 2).T)
        columns: dict[str, object] = {"site": [self.site(*at) for at in self.order]}
        if self.kind == "concept":
            columns["labels"] = [", ".join(self.labels_of(*at)) for at in self.order]
        columns |= {"effect": self.effect[place], "control": self.control[place]}
        columns |= {name: values[place] for name, values in self.columns.items()}
        columns |= {f"null/{name}": values[place] for name, values in self.nulls.items()}
        return pd.DataFrame(columns)
