"""How large the values at a site get: the unit in which clamps are set."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from core.results.base import Result


@dataclass(frozen=True)
class ScaleResult(Result):
    """Observed size of the values at one site over the reference text.

    `unit` is the observed maximum of |value|; outliers drive it, so the 99.9th percentile
    stands beside it.
    """

    name: ClassVar[str] = "scale"
    site: str
    unit: float
    n_tokens: int
    quantiles: np.ndarray  # [5] of |value| at 50 %, 90 %, 99 %, 99.9 % and 100 %
