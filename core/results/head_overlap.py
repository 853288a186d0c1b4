"""Which heads tasks have in common, against chance layer by layer, and what breaks without them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class HeadOverlap(Result):
    """The heads each task loses most without, and what the sets of two tasks share.

    `effect`: nats of log p(answer) lost when the head is ablated, mean over a task's cases; a
    set is the `share` of all heads with the largest effect above 0. `expected` is the
    hypergeometric mean |A||B| / heads of each layer, `p` the chance of so many or more.
    `jaccard` = |A and B| / |A or B|; `corrected` = (J - E[J]) / (1 - E[J]), both from sums over
    layers, their diagonal compares sets found on two halves of the task's own cases. `lost`: nats
    lost on held-out cases when a set is silent: set 0 of the last axis, then random other heads,
    as many in every layer.
    """

    name: ClassVar[str] = "head_overlap"
    names: tuple[str, ...]  # of the tasks
    n_cases: tuple[int, ...]  # the effects rest on, [task]
    n_held: tuple[int, ...]  # cases that `lost` rests on, [task]
    n_fitting: tuple[int, ...]  # cases that fit the model, [task]
    n_written: tuple[int, ...]  # cases there were, [task]
    share: float
    to: str
    n_random: int
    silenced: tuple[str, ...]  # what was ablated together: "shared by all", "only <task>"
    base: np.ndarray  # [task] mean log p of the answer
    right: np.ndarray  # [task] share of cases whose answer is the first choice
    effect: np.ndarray  # [task, layer, head] nats
    error: np.ndarray  # [task, layer, head] standard error of the mean
    chosen: np.ndarray  # [task, layer, head] bool
    overlap: np.ndarray  # [task, task, layer] heads
    expected: np.ndarray  # [task, task, layer] heads
    p: np.ndarray  # [task, task, layer]
    jaccard: np.ndarray  # [task, task]
    corrected: np.ndarray  # [task, task]
    silenced_size: np.ndarray  # [silenced]
    lost: np.ndarray  # [silenced, task, 1 + n_random] nats

    def shared(self) -> tuple[str, ...]:
        """The heads in every set."""
        places = np.argwhere(self.chosen.all(axis=0))
        return tuple(f"L{layer}.head[{head}]" for layer, head in places.tolist())

    def to_frame(self) -> "pd.DataFrame":
        """One row per head."""
        import pandas as pd

        layers, heads = np.indices(self.effect.shape[1:]).reshape(2, -1)
        pairs = zip(layers.tolist(), heads.tolist(), strict=True)
        columns: dict[str, object] = {"site": [f"L{layer}.head[{head}]" for layer, head in pairs]}
        for name, effect, chosen in zip(self.names, self.effect, self.chosen, strict=True):
            columns[f"effect/{name}"] = effect.ravel()
            columns[f"chosen/{name}"] = chosen.ravel()
        return pd.DataFrame(columns)
