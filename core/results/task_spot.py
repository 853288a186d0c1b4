"""The neurons one kind of text needs more than another, and what breaks without them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class TaskSpot(Result):
    """A set of neurons found on one half of the texts and silenced on the other half.

    `gain` is what the loss rises by, nats per token, on held-out texts: [size, kind of text, set];
    kind 0 is the target, 1 the other; set 0 is the spot, the rest random sets with as many
    neurons in every layer. `ratio` is gain on the target over gain on the other kind (the latter
    at least `least`), [size, set]. Listed are the neurons of `asked`, strongest first.
    """

    name: ClassVar[str] = "task_spot"
    names: tuple[str, str]  # what the target texts and the others are called
    n_texts: tuple[int, int]  # of each kind, both halves together
    n_found: tuple[int, int]  # tokens of each kind the neurons were found on
    n_held: tuple[int, int]  # texts of each kind the losses are measured on
    n_random: int
    d_mlp: int
    least: float  # nats per token
    asked: int  # which of the sizes was asked for
    writes: tuple[tuple[str, ...], ...]  # [listed] top pieces of the strongest
    share: np.ndarray  # [size] of all neurons
    size: np.ndarray  # [size] neurons
    gain: np.ndarray  # [size, kind, set] nats per token
    low: np.ndarray  # [size, kind] of the spot, 95 % bootstrap over texts
    high: np.ndarray  # [size, kind]
    ratio: np.ndarray  # [size, set]
    base: np.ndarray  # [kind] loss with nothing silent, nats per token
    in_layer: np.ndarray  # [layer] neurons of the set asked for
    layer: np.ndarray  # [neuron] of the set asked for, strongest first
    unit: np.ndarray  # [neuron]
    importance: np.ndarray  # [neuron, kind] share of all importance on that kind of text

    def to_frame(self) -> "pd.DataFrame":
        """One row per neuron of the set: site, importance on both kinds, what it writes."""
        import pandas as pd

        words = [" ".join(found) for found in self.writes]
        words += [""] * (len(self.unit) - len(words))
        return pd.DataFrame(
            {
                "site": [
                    f"L{layer}.neuron[{unit}]"
                    for layer, unit in zip(self.layer.tolist(), self.unit.tolist(), strict=True)
                ],
                f"importance on {self.names[0]}": self.importance[:, 0],
                f"importance on {self.names[1]}": self.importance[:, 1],
                "writes": words,
            }
        )
