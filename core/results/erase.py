"""Linear erasure of a concept, layer by layer: what can still be read, and what it costs."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result
from core.spec.interventions import Erase
from core.spec.site import Site

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class EraseResult(Result):
    """Row i of every [layer] array is about `L{layer[i]}.resid_post`.

    Accuracies are of probes trained on states of the training items and tested on the others;
    "after" means with the concept erased at this layer and at every listed one below it. `fresh`
    is a new linear probe on the held-out items alone, which the eraser has not seen. `methods`
    names the eraser first and then its baselines, all applied to the same layers in sequence.
    """

    name: ClassVar[str] = "erase"
    concept: str
    classes: tuple[str, ...]
    method: str
    position: str
    n_train: int
    n_test: int
    n_neutral: int  # tokens of the neutral text behind loss and KL
    seed: int
    stack: str
    methods: tuple[str, ...]
    layer: np.ndarray  # [layer] int64
    chance: np.ndarray  # [1] share of the commonest class among the held-out items
    control: np.ndarray  # [layer] linear probe with shuffled labels, before
    linear_before: np.ndarray  # [layer] accuracy, 0 to 1
    linear_after: np.ndarray  # [layer]
    mlp_before: np.ndarray  # [layer]
    mlp_after: np.ndarray  # [layer] not guaranteed to fall: LEACE is linear
    fresh_before: np.ndarray  # [layer]
    fresh_after: np.ndarray  # [layer]
    accuracy: np.ndarray  # [method, layer] linear probe after
    moved: np.ndarray  # [method, layer] squared distance moved, share of the total variance
    rank: np.ndarray  # [method, layer] directions taken out
    loss_increase: np.ndarray  # [method] nats per token on neutral text, all layers erased
    kl: np.ndarray  # [method] nats per token on neutral text
    concept_kl: np.ndarray  # [method] nats at the end of the concept's own texts
    left: np.ndarray  # [layer, rank, d_model] float32, of the eraser itself
    right: np.ndarray  # [layer, rank, d_model]
    mean: np.ndarray  # [layer, d_model]

    def changes(self) -> tuple[Erase, ...]:
        """The eraser as interventions, the lowest layer first."""
        return tuple(
            Erase(
                Site(int(layer), "resid_post", stack=self.stack),
                self.left[row].tolist(),
                self.right[row].tolist(),
                self.mean[row].tolist(),
            )
            for row, layer in enumerate(self.layer)
            if self.left.shape[1]
        )

    def to_frame(self) -> "pd.DataFrame":
        """One row per layer: probes before and after, what was moved, the baselines."""
        import pandas as pd

        names = ("linear", "mlp", "fresh")
        columns: dict[str, np.ndarray] = {"layer": self.layer, "control": self.control}
        for name in names:
            columns[f"{name}_before"] = getattr(self, f"{name}_before")
            columns[f"{name}_after"] = getattr(self, f"{name}_after")
        for row, method in enumerate(self.methods):
            columns[f"{method}_accuracy"] = self.accuracy[row]
            columns[f"{method}_moved"] = self.moved[row]
        return pd.DataFrame(columns)
