"""A direction of a concept at every layer, with what tells whether it is one."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd

STABLE = 0.5  # least mean cosine between the directions of two random halves of the items


@dataclass(frozen=True)
class DirectionResult(Result):
    """Row l of every [layer, ...] array is about `L{l}.resid_post`.

    `separation` is the AUC on items the direction was not built from; its control is the same
    with the labels shuffled, 20 times. `split_half` is the mean cosine between the directions of
    two random halves of the items: below 0.5 the direction is mostly noise. NaN stands where a
    measure does not exist (a direction that is not built from items has no halves).
    """

    name: ClassVar[str] = "direction"
    concept: str
    sides: tuple[str, ...]  # what the positive and the negative items are
    source: str
    method: str
    position: str
    other: str  # the model the shift leads to, "" for a concept
    paired: bool
    n_positive: int
    n_negative: int
    n_tokens: int  # behind mean_norm
    seed: int
    stack: str
    methods: tuple[str, ...]  # of method_cosine and method_separation
    neurons: tuple[tuple[str, ...], ...]  # [layer][k] sites of the neurons most alike
    raises: tuple[tuple[str, ...], ...]  # [layer][k] tokens it raises, () where none can be read
    lowers: tuple[tuple[str, ...], ...]
    direction: np.ndarray  # [layer, d_model] float32, length 1
    separation: np.ndarray  # [layer] AUC on held-out items, 0.5 is chance
    control_separation: np.ndarray  # [layer, shuffle] AUC with shuffled labels
    split_half: np.ndarray  # [layer] cosine
    consistency: np.ndarray  # [layer] mean cosine of the single pair differences with it
    gap: np.ndarray  # [layer] between the class means along it, stream units
    spread: np.ndarray  # [layer] standard deviation within the classes along it, stream units
    middle: np.ndarray  # [layer] projection halfway between the class means
    mean_norm: np.ndarray  # [layer] mean length of the stream
    mean_positive: np.ndarray  # [layer, d_model]
    mean_negative: np.ndarray  # [layer, d_model]
    projection: np.ndarray  # [layer, item] of every item, positive ones first
    sizes: np.ndarray  # [size] items a side
    expected_cosine: np.ndarray  # [layer, size] of the difference of means with the true one
    method_cosine: np.ndarray  # [layer, method, method]
    method_separation: np.ndarray  # [layer, method] AUC on held-out items
    layer_cosine: np.ndarray  # [layer, layer]
    neuron_cosine: np.ndarray  # [layer, k] cosine of write vector and direction, signed
    control_neuron_cosine: np.ndarray  # [layer] largest |cosine|, mean over random directions
    raise_score: np.ndarray  # [layer, k] logit per unit of length
    lower_score: np.ndarray  # [layer, k]
    control_score: np.ndarray  # [layer] largest score, mean over random directions

    @property
    def n_layers(self) -> int:
        return len(self.separation)

    @property
    def relative_norm(self) -> np.ndarray:
        """[layer] distance of the class means relative to the mean length of the stream."""
        gaps = np.linalg.norm(self.mean_positive - self.mean_negative, axis=-1)
        return np.asarray(gaps / np.maximum(self.mean_norm, 1e-12))

    @property
    def best(self) -> int:
        """The layer that separates held-out items best; of equals the one whose halves agree."""
        known = np.nan_to_num(self.separation, nan=-1.0)
        halves = np.nan_to_num(self.split_half, nan=-1.0)
        return int(np.where(known >= known.max() - 0.005, halves, -2.0).argmax())

    def stable(self, layer: int) -> bool:
        """Do two halves of the items give the same direction? Fixed directions always do."""
        return not float(self.split_half[layer]) < STABLE

    def to_frame(self) -> "pd.DataFrame":
        """One row per layer: how well it separates, its control, its halves, its size."""
        import pandas as pd

        columns = {
            "layer": np.arange(self.n_layers),
            "separation": self.separation,
            "control_mean": _mean(self.control_separation),
            "split_half": self.split_half,
            "gap": self.gap,
            "spread": self.spread,
            "mean_norm": self.mean_norm,
            "relative_norm": self.relative_norm,
            "neurons": [" ".join(row) for row in self.neurons],
            "raises": [" ".join(row) for row in self.raises],
            "lowers": [" ".join(row) for row in self.lowers],
        }
        return pd.DataFrame(columns)


def short(vector: np.ndarray) -> list[float]:
    """float32 numbers as the shortest decimals that mean them, so that links stay short."""
    return [float(str(number)) for number in np.asarray(vector, dtype=np.float32)]


def _mean(values: np.ndarray) -> np.ndarray:
    return values.mean(axis=1) if values.shape[1] else np.full(len(values), np.nan)
