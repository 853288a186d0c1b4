"""Neurons that fire on one kind of text and hardly on others, by the entropy of how often."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class DomainNeurons(Result):
    """The `share` of neurons whose firing is most concentrated on few kinds of text.

    `entropy` of each listed neuron is that of its firing rates over the kinds, scaled to sum 1, in
    nats; ln(number of kinds) means equally often on all. Control: the same texts with the kinds
    dealt out at random. `gain` is what held-out texts lose, nats per token, when the neurons of
    one kind are silent: [set of, measured on, 1 + n_random], 0 the set itself.
    """

    name: ClassVar[str] = "domain_neurons"
    names: tuple[str, ...]  # kinds of text
    n_texts: tuple[int, ...]
    n_tokens: tuple[int, ...]  # the rates are over
    n_random: int
    n_shuffles: int
    share: float
    d_mlp: int
    n_able: int  # neurons that fire often enough somewhere to be listed
    writes: tuple[tuple[str, ...], ...]  # [listed] top pieces of the most concentrated
    layer: np.ndarray  # [neuron] most concentrated first
    unit: np.ndarray  # [neuron]
    kind: np.ndarray  # [neuron] the kind it fires most on
    entropy: np.ndarray  # [neuron] nats
    rate: np.ndarray  # [neuron, kind] share of tokens at which it fires
    edge: np.ndarray  # [bin + 1] nats
    count: np.ndarray  # [bin] of all able neurons
    null_count: np.ndarray  # [bin] with the kinds dealt out at random, mean over shuffles
    in_layer: np.ndarray  # [kind, layer] listed neurons
    gain: np.ndarray  # [kind, kind, 1 + n_random] nats per token
    base: np.ndarray  # [kind] nats per token

    def to_frame(self) -> "pd.DataFrame":
        """One row per listed neuron: site, kind, entropy, its rate on every kind, its words."""
        import pandas as pd

        words = [" ".join(found) for found in self.writes]
        words += [""] * (len(self.unit) - len(words))
        table = {
            "site": [
                f"L{layer}.neuron[{unit}]"
                for layer, unit in zip(self.layer.tolist(), self.unit.tolist(), strict=True)
            ],
            "kind": [self.names[kind] for kind in self.kind],
            "entropy": self.entropy,
        }
        table |= {f"rate on {name}": self.rate[:, n] for n, name in enumerate(self.names)}
        return pd.DataFrame(table | {"writes": words})
