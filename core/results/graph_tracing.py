"""Does a walk on a graph re-arrange the words it is made of? Accuracy, energy, pictures, nulls."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class GraphTracing(Result):
    """Walks on a graph of words, read while they go on.

    `context` are numbers of words seen; row 0 of a layer axis is what enters the first block, row l
    what leaves block l - 1. Energy: mean squared distance of a word's mean state to its neighbours'
    over that of all pairs; 1 when the states know nothing of the graph. Every number has three
    nulls: the words permuted, the same walks in random order, and vectors that know nothing but are
    averaged with their neighbours once (`mixed`), which an attention head to the token before does
    by itself. Below 1 is no evidence; clearly below `mixed` is.
    """

    name: ClassVar[str] = "graph_tracing"
    graph: str
    words: tuple[str, ...]
    source: str  # where the words are from
    dropped: tuple[str, ...]  # of the words given or built in: no single tokens of this model
    notes: tuple[str, ...]
    sites: tuple[str, ...]
    n_walks: int
    n_control_walks: int
    length: int  # words of a walk
    window: int  # words that a mean state is taken over
    n_permutations: int
    n_mixed: int
    seed: int
    late: float  # mass on neighbours over the last quarter of the walks
    late_permuted: float
    edges: np.ndarray  # [edge, 2]
    layout: np.ndarray  # [node, 2] the graph as it is drawn on paper
    step: (
        np.ndarray
    )  # [step] words seen when the next one is foretold, in groups on a logarithmic axis
    mass: np.ndarray  # [step] probability on the neighbours, mean over walks
    mass_low: np.ndarray  # 95 % of that mean, walks drawn again
    mass_high: np.ndarray
    permuted_mass: np.ndarray  # [step] on the neighbours in the graph with its words permuted
    words_mass: np.ndarray  # [step] on all words of the graph
    context: np.ndarray  # [context] words seen
    seen: np.ndarray  # [context, node] states a mean is taken over
    energy: np.ndarray  # [context, layer]
    plane_energy: np.ndarray  # [context, layer] within the two principal components
    alignment: np.ndarray  # [context, layer] of these with the graph's own layout, 0 to 1
    plane_share: np.ndarray  # [context, layer] of the variance of the means that they hold
    usual_energy: np.ndarray  # [context, layer] with the neighbours the words have anyway, or NaN
    permuted_low: np.ndarray  # [context, layer] 2.5 % of the energy with permuted words
    permuted_high: np.ndarray
    shuffled_energy: np.ndarray  # [context, layer] walks in random order
    shuffled_alignment: np.ndarray
    fresh_energy: np.ndarray  # [layer] last context, fresh weights
    fresh_alignment: np.ndarray
    mixed: np.ndarray  # [2.5 %, mean, 97.5 %; energy, alignment] random vectors, mixed once
    mixed_place: np.ndarray  # [node, 2] the picture one such draw gives
    mixed_own: np.ndarray  # [energy, alignment] the model's own embeddings, mixed once
    unrelated: np.ndarray  # [2.5 %, mean, 97.5 %; energy, alignment] random vectors
    place: np.ndarray  # [context, layer, node, 2] the means in their plane, turned to the layout
    point: np.ndarray  # [layer, occurrence, 2] single states of the last context in that plane
    point_node: np.ndarray  # [occurrence] the word there
    point_before: np.ndarray  # [occurrence] the word before it
    ablated: tuple[str, ...]  # sets of heads put to zero: "none", the strongest, random ones
    ablated_heads: tuple[tuple[str, ...], ...]  # [set]
    ablated_mass: np.ndarray  # [set] over the last quarter of the walks
    ablated_low: np.ndarray
    ablated_high: np.ndarray
    ablated_energy: np.ndarray  # [set, layer] last context

    @property
    def best(self) -> tuple[int, int]:
        """(context, layer) of the lowest energy, blocks only."""
        values = np.where(np.isfinite(self.energy), self.energy, np.inf)[:, 1:]
        at = np.unravel_index(int(values.argmin()), values.shape)
        return int(at[0]), int(at[1]) + 1

    def to_frame(self) -> "pd.DataFrame":
        """One row per context and layer."""
        import pandas as pd

        names = (
            *("energy", "plane_energy", "alignment", "plane_share"),
            *("permuted_low", "permuted_high", "shuffled_energy", "shuffled_alignment"),
        )
        contexts, layers = self.energy.shape
        place = {
            "context": np.repeat(self.context, layers),
            "site": np.tile(np.array(self.sites), contexts),
        }
        return pd.DataFrame(place | {name: getattr(self, name).ravel() for name in names})
