"""The neurons a text keeps using, how soon they are known, and whether they suffice."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from core.results.base import Result


@dataclass(frozen=True)
class CoreNeurons(Result):
    """Core neurons: per layer the `beta` share of neurons most often among a token's strongest.

    Stability is the Jaccard of the core of a prefix with that of the first half; chance is that
    of two random sets of the same size. `loss` is of the second half's tokens when only a set
    found before them runs there: set 0 the core of the first half, set 1 the core of the reference
    text, the rest random sets of equal size.
    """

    name: ClassVar[str] = "core_neurons"
    tokens: tuple[str, ...]
    alpha: float  # share of a token's positive activations that counts
    beta: float  # share of a layer's neurons in the core
    by: str  # "positive" or "size": what makes an activation strong
    n_first: int  # tokens the core is found on
    n_held: int  # tokens the losses are measured on
    n_random: int
    n_reference: int  # tokens of the reference text behind set 1
    d_mlp: int
    base: float  # loss of the second half with all neurons, nats per token
    prefix: np.ndarray  # [prefix] tokens seen
    stability: np.ndarray  # [prefix, layer] Jaccard
    chance: np.ndarray  # [1] Jaccard of random sets, expected
    likeness: np.ndarray  # [layer] Jaccard with the core of the reference text
    betas: np.ndarray  # [beta]
    loss: np.ndarray  # [beta, set] nats per token
    unit: np.ndarray  # [layer, rank] the core of the first half, most often first
    often: np.ndarray  # [layer, rank] share of the tokens it was among the strongest at
