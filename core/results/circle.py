"""Do classes lie on a circle (or a line) in their order? Every depth in one answer."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Circle(Result):
    """Row 0 of every layer axis is what enters the first block, row l what leaves block l - 1.
    NaN where all words have one state, as embeddings of words that end alike.

    error: where the other classes say that a class left out should lie; of a cycle the mean angle
    to its true place in radians (chance pi / 2), of a line the mean distance in steps. Control: the
    same with the classes in other orders, all of them or many random ones.
    order: without fitting, how steadily consecutive classes turn by the same angle in the best
    plane of principal components (of a line: the best rank correlation); other orders choose their
    best plane too.
    separability (bits that two coordinates share in every rotation, at least) and mixture (largest
    share of the points in a thin strip) of the single states in that plane: an irreducible feature
    has the first high and the second low. Controls: one coordinate dealt out anew among classes;
    Gaussian class means. With few classes both say little, whatever their order.
    """

    name: ClassVar[str] = "circle"
    concept: str
    about: str
    source: str
    kind: str  # "cycle" or "line"
    period: float  # classes of one turn; 0 for a line
    words: tuple[str, ...]  # [class] those that were read
    dropped: tuple[tuple[str, str], ...]
    contexts: tuple[str, ...]
    read: str
    prepare: str
    k: int  # principal components of the class means
    seed: int
    n_orders: int
    every_order: bool  # were all orders tried?
    n_points: int  # single states, class by context
    n_draws: int  # clouds by chance
    number: np.ndarray  # [class] place in the order, from 0
    target: np.ndarray  # [class, 2] (line: [class, 1]) where it should lie
    error: np.ndarray  # [layer]
    error_chance: np.ndarray  # [layer] mean over other orders
    error_low: np.ndarray  # [layer] 5 % of other orders are below
    error_p: np.ndarray  # [layer] share of orders with an error as small
    held_out: np.ndarray  # [layer, class, 2] (line: 1) where the other classes say it lies
    r2: np.ndarray  # [layer] in sample: near 1 whenever there are few classes, whatever they are
    r2_held_out: np.ndarray  # [layer]
    order: np.ndarray  # [layer] -1 to 1
    order_high: np.ndarray  # [layer] 95 % of other orders are below
    order_p: np.ndarray  # [layer]
    plane: np.ndarray  # [layer, 2] components of the best plane, from 0
    roundness: np.ndarray  # [layer] sd / mean of the radii there; Gaussian points have 0.52
    share: np.ndarray  # [layer] of the class means' variance in the fitted plane or line
    variance: np.ndarray  # [layer, k] share of the class means' variance along each component
    frequency: (
        np.ndarray
    )  # [layer, 1 to half the classes] share of that variance going round so often
    separability: np.ndarray  # [layer] bits
    separability_chance: np.ndarray  # [layer] mean
    separability_high: np.ndarray  # [layer] 95 %
    mixture: np.ndarray  # [layer] 0 to 1
    mixture_chance: np.ndarray  # [layer] mean
    place: np.ndarray  # [layer, class, 2] class means in the best plane, in units of the cloud
    point: np.ndarray  # [layer, context, class, 2] single states there, each context's mean away
    writes: np.ndarray  # [layer, 2, d_model] (line: 1) mean + target @ writes, in the stream

    @property
    def n_layers(self) -> int:
        """Blocks; the curves have one row more."""
        return len(self.error) - 1

    @property
    def best(self) -> int:
        """Row of the smallest error; of equals the earliest."""
        return int(np.nanargmin(self.error))

    @property
    def irreducible(self) -> np.ndarray:
        """[layer] (1 - mixture) x separability above chance."""
        found: np.ndarray = (1 - self.mixture) * (self.separability - self.separability_chance)
        return found

    def shown(self, layer: int) -> bool:
        """Is the order there beyond 95 of 100 other orders, held out and without fitting?"""
        return bool(self.error_p[layer] <= 0.05 and self.order_p[layer] <= 0.05)

    def to_frame(self) -> "pd.DataFrame":
        """One row per layer."""
        import pandas as pd

        names = [
            "error", "error_chance", "error_low", "error_p", "r2", "r2_held_out", "order",
            "order_high", "order_p", "roundness", "share", "separability", "separability_chance",
            "mixture", "mixture_chance",
        ]  # fmt: skip
        return pd.DataFrame({name: getattr(self, name) for name in names}).rename_axis("row")
