"""How much a corpus needs each head: an estimate for all of them, checked exactly on some."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd

LEAST_AGREEMENT = 0.7  # Spearman with the exact effects; below it the estimate is unreliable


@dataclass(frozen=True)
class HeadImportance(Result):
    """Estimated loss per token, in nats, when each head is ablated over a corpus.

    estimate = first + second: the slope of the loss, and half the square of what the head's change
    does to it in one text, which estimates KL(model || ablated). Control: the same estimate for
    a change of equal length in the stream, in a random direction inside another head. Some heads,
    the largest estimates and random others, were truly ablated.
    """

    name: ClassVar[str] = "head_importance"
    corpus: str
    to: str  # "mean" over the corpus, "zero", or "resample": the heads of another text
    n_texts: int
    n_tokens: int  # whose loss was counted
    n_samples: int  # sets of labels drawn from the model's own predictions, a pass back each
    n_controls: int
    loss: float  # nats per token, of the model as it is
    estimate: np.ndarray  # [layer, head] nats per token
    first: np.ndarray  # [layer, head] first order, with the text's own labels
    second: np.ndarray  # [layer, head] second order, which estimates the KL
    control: np.ndarray  # [layer, head] of estimate, mean over the controls
    layer: np.ndarray  # [checked] int, of the heads that were truly ablated
    head: np.ndarray  # [checked]
    top: np.ndarray  # [checked] bool: among the largest estimates, else drawn at random
    exact: np.ndarray  # [checked] increase of the loss, nats per token
    exact_error: np.ndarray  # [checked] its standard error over the texts
    exact_kl: np.ndarray  # [checked] KL(model || ablated), nats per token
    exact_control: np.ndarray  # [checked] increase of the loss under one control
    spearman: float  # of estimate and exact over the checked heads, NaN for fewer than 3
    pearson: float

    @property
    def reliable(self) -> bool:
        """Whether estimate and exact effects agree well enough; unknown counts as no."""
        return self.spearman >= LEAST_AGREEMENT

    def to_frame(self) -> "pd.DataFrame":
        """One row per head; exact numbers where there are some."""
        import pandas as pd

        n_layers, n_heads = self.estimate.shape
        sites = [f"L{at}.head[{n}]" for at in range(n_layers) for n in range(n_heads)]
        names = ("estimate", "first", "second", "control")
        columns = {name: getattr(self, name).reshape(-1) for name in names}
        for name in ("exact", "exact_error", "exact_kl", "exact_control"):
            columns[name] = np.full(n_layers * n_heads, np.nan)
            columns[name][self.layer * n_heads + self.head] = getattr(self, name)
        return pd.DataFrame({"site": sites, **columns})
