"""How large the values at a site get: the unit in which clamps are set."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from core.results.base import Result


@dataclass(frozen=True)
class ScaleResult(Result):
    """Observed size of the values at one site over the reference text.

    `unit` is the observed maximum of |value| over every token. Outliers drive it, so strengths are
    counted in `p999`, the 99.9th percentile of |value|, and the natural range is `low` to `high`,
    the smallest and largest value; the first token of each text, where many models park outliers,
    is left out of these three and of `mean`. Along a direction the values are components along
    it, and `unit` and `p999` are about their distance from `mean`.
    """

    name: ClassVar[str] = "scale"
    site: str
    along: bool  # along a direction
    unit: float
    p999: float
    low: float
    high: float
    mean: float
    stream: float  # mean length of the whole vector at the site, 0 for single numbers
    n_tokens: int
    quantiles: np.ndarray  # [5] of |value| at 50 %, 90 %, 99 %, 99.9 % and 100 %, every token
