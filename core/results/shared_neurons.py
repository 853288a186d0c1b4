"""Which neurons kinds of text, or two models, have in common, against chance layer by layer."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from core.results.base import Result


@dataclass(frozen=True)
class SharedNeurons(Result):
    """Sets of the most active neurons and what they share.

    A set holds, per layer, the `ratio` of neurons most active in (at least `agree` of) its texts.
    Overlaps count (layer, unit) pairs; `expected` is the hypergeometric mean |A||B| / d_mlp of each
    layer. `corrected` = (J - E[J]) / (1 - E[J]), J and E[J] from sums over layers; its diagonal
    compares the two halves of the set's own texts. `gain` is what held-out texts lose, nats per
    token, when a set of the first model is silent: set 0 of the last axis, then random sets with
    as many neurons in every layer.
    """

    name: ClassVar[str] = "shared_neurons"
    names: tuple[str, ...]  # of the sets
    models: tuple[str, ...]  # whose set it is, [set]
    n_texts: tuple[int, ...]  # [set]
    ratio: float
    agree: float
    d_mlp: int
    n_random: int
    silenced: tuple[str, ...]  # what was ablated: "shared by all", "only <name>"
    measured: tuple[str, ...]  # kinds of text the losses are of
    size: np.ndarray  # [set, layer]
    overlap: np.ndarray  # [set, set, layer] neurons
    expected: np.ndarray  # [set, set, layer] neurons
    p: np.ndarray  # [set, set, layer] of so many or more by chance
    corrected: np.ndarray  # [set, set]
    silenced_size: np.ndarray  # [silenced]
    gain: np.ndarray  # [silenced, measured, 1 + n_random]
    base: np.ndarray  # [measured] nats per token
    layer: np.ndarray  # [neuron] of the neurons shared by all
    unit: np.ndarray  # [neuron]
