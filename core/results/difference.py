"""The same question to two models of one shape: where their answers differ, beyond noise."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Difference(Result):
    """Second answer minus first, cell by cell, for every measure both have.

    noise      what the difference of the two answers' controls comes to at the same cells: nothing
               of interest changed there
    threshold  by measure, what 95 of 100 of these noise cells stay below in size; cells beyond it
               are `beyond`. 0 where an answer has no control of its own, as those about weights
    """

    name: ClassVar[str] = "difference"
    analysis: str
    models: tuple[str, str]
    units: Mapping[str, str]  # measure -> what it is counted in
    axis: str  # "head", "token", "neuron" or "" for a curve over layers
    columns: tuple[str, ...]  # names of the columns where they have any: tokens
    change: Mapping[str, np.ndarray]  # measure -> [layer, column]
    noise: Mapping[str, np.ndarray]  # measure -> [layer, column]
    threshold: Mapping[str, np.ndarray]  # measure -> [1]

    def beyond(self, measure: str) -> np.ndarray:
        """[layer, column] bool."""
        found: np.ndarray = np.abs(self.change[measure]) > float(self.threshold[measure][0])
        return found

    def largest(self, measure: str, n: int = 10) -> tuple[tuple[int, int], ...]:
        """(layer, column) of the cells that changed most, largest first."""
        size = np.nan_to_num(np.abs(self.change[measure]), nan=-1.0)
        order = np.argsort(-size, axis=None, kind="stable")[:n]
        rows, columns = np.unravel_index(order, size.shape)
        return tuple((int(r), int(c)) for r, c in zip(rows, columns, strict=True))

    def to_frame(self) -> "pd.DataFrame":
        """One row per cell and measure."""
        import pandas as pd

        parts = []
        for name, change in self.change.items():
            layer, column = np.indices(change.shape).reshape(2, -1)
            parts.append(
                pd.DataFrame(
                    {
                        "measure": name,
                        "layer": layer,
                        self.axis or "column": column,
                        "change": change.reshape(-1),
                        "noise": self.noise[name].reshape(-1),
                        "beyond": self.beyond(name).reshape(-1),
                    }
                )
            )
        return pd.concat(parts, ignore_index=True)
