"""Minimal pairs: which member the model finds more probable, and from which layer on it is read."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result
from core.results.depth_summary import summary

if TYPE_CHECKING:
    import pandas as pd

WAYS = ("ending", "text", "asked")


@dataclass(frozen=True)
class MinimalPairs(Result):
    """Both are a choice between the two texts of a pair, so 0.5 is chance for both.

    Directly, in three ways: the log probability of the tokens that both texts end with ("ending"),
    of the whole text ("text"), and how much more it says that the text is right ("asked"). By a
    probe of the last token at every layer, on groups it has not seen: whose margin is larger.
    Controls: good and bad exchanged within pairs, words alone, the shorter text, fresh weights.
    NaN where a way is not to be had.
    """

    name: ClassVar[str] = "minimal_pairs"
    pairs: str
    about: str
    seed: int
    position: str
    prompt: str  # how the model was asked, "" for not at all
    answers: tuple[str, str]
    sites: tuple[str, ...]  # [layer]
    good: tuple[str, ...]  # [pair]
    bad: tuple[str, ...]
    kinds: tuple[str, ...]  # the ways pairs differ in; one alone where they were not named
    grouped: bool
    n_groups: int
    n_folds: int
    n_shuffles: int
    notes: tuple[str, ...]
    kind: np.ndarray  # [pair] number among `kinds`
    gap: np.ndarray  # [way, pair] nats by which the good text is preferred
    direct: np.ndarray  # [way] share of pairs in which it is; ties count half
    direct_low: np.ndarray  # 95 %, groups drawn again, at least as wide as Wilson's
    direct_high: np.ndarray
    untrained_direct: np.ndarray  # [way] fresh weights
    n_shared: np.ndarray  # [pair] tokens of the common ending
    shorter: float  # share of pairs whose good text has fewer tokens
    margin: np.ndarray  # [layer, pair] probe's margin of the good text minus that of the bad one
    chosen: np.ndarray  # [layer] share of pairs in which it is above 0
    chosen_low: np.ndarray
    chosen_high: np.ndarray
    control_chosen: np.ndarray  # [shuffle, layer]
    untrained_chosen: np.ndarray  # [layer]
    words_chosen: float  # a probe of which words a text holds
    auc: np.ndarray  # [layer] good texts against bad ones, all together
    f1: np.ndarray  # [layer]
    nested: float  # share chosen right at the layer that is best on the other folds
    nested_low: float
    nested_high: float

    @property
    def n_layers(self) -> int:
        return len(self.sites) - 1

    @property
    def floor(self) -> float:
        """What words alone or a coin reach."""
        return max(0.5, self.words_chosen)

    @property
    def most(self) -> float:
        """What the best layer reaches in 1 of 20 exchanges of good and bad."""
        return float(np.quantile(self.control_chosen.max(axis=1), 0.95))

    @property
    def readable(self) -> bool:
        """Is the best layer above the floor by two standard errors, and above `most`?"""
        best = int(self.chosen.argmax())
        low = float(self.chosen_low[best])
        return bool(low > self.floor and self.chosen[best] > self.most)

    @property
    def points(self) -> dict[str, float]:
        """Onset, half-rise, saturation, peak ... of the probe's curve; see `depth_summary`."""
        return summary(self.chosen, self.chosen_low, self.floor)

    @property
    def way(self) -> int:
        """The first way in which the model could be asked directly; -1 for none."""
        known = np.flatnonzero(np.isfinite(self.direct))
        return int(known[0]) if len(known) else -1

    @property
    def best(self) -> int:
        return int(self.chosen.argmax())

    @property
    def unused(self) -> np.ndarray:
        """[pair] bool: read right at the best layer, and not preferred."""
        if self.way < 0:
            return np.zeros(len(self.good), dtype=bool)
        found: np.ndarray = (self.margin[self.best] > 0) & (self.gap[self.way] < 0)
        return found

    def by_kind(self, values: np.ndarray) -> np.ndarray:
        """Share above 0 of values [pair], for every kind; ties count half."""
        right = (values > 0) + 0.5 * (values == 0)
        return np.array([right[self.kind == n].mean() for n in range(len(self.kinds))])

    def to_frame(self) -> "pd.DataFrame":
        """One row a pair."""
        import pandas as pd

        columns = {
            "good": self.good,
            "bad": self.bad,
            "kind": [self.kinds[number] for number in self.kind],
        }
        columns |= {f"nats_{name}": self.gap[row] for row, name in enumerate(WAYS)}
        layers = {f"probe_{row}": self.margin[row] for row in range(len(self.sites))}
        return pd.DataFrame(columns | layers)
