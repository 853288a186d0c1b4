"""One unit on one text, token by token."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from core.results.base import Result


@dataclass(frozen=True)
class UnitValues(Result):
    """The activation of one unit at every token, clean and under the clamps."""

    name: ClassVar[str] = "unit_values"
    site: str
    tokens: tuple[str, ...]
    special: tuple[bool, ...]
    n_others: int  # neurons of the layer that `typical` is the middle of
    clean: np.ndarray  # [token] activation units
    value: np.ndarray  # [token] the same under the interventions; equal to `clean` without any
    typical: np.ndarray  # [token] median |activation| over the other units of the layer, clean
