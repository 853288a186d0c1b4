"""A dictionary trained on the spot: its curves, and how good it is on text it has not seen."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd

KINDS = ("trained", "untrained", "PCA")
ABLATIONS = ("zero", "mean")


@dataclass(frozen=True)
class TrainDictionary(Result):
    """Curves and final figures, all on held-out contexts.

    fvu: squared error over the variance about the mean of the held-out tokens. l0: features a
    token. dead: share of features silent for long in training (curves), or on all held-out tokens
    (final). delta_ce: what next tokens cost more, in nats, with the reconstruction in the place of
    the site; NaN where `loss_missing` says why. recovered: 1 - delta_ce over that of an ablation.

    Controls: `untrained`, the same shape before the first step, k largest of a token; `PCA` with k
    components. While training goes on the final figures are NaN.
    """

    name: ClassVar[str] = "train_dictionary"
    dictionary: str
    site: str
    architecture: str
    n_features: int
    k: int
    batch: int
    rate: float
    seed: int
    corpus: str
    division: str  # how held-out contexts were chosen
    n_train_tokens: int  # different ones
    n_held_tokens: int
    n_loss_contexts: int
    loss_missing: str
    steps: int
    reached: int
    resumed_at: int
    scale: float  # activations were multiplied by this while training
    tokens_per_second: float  # of training alone, in this process; 0 for none
    notes: tuple[str, ...]
    ce_clean: float  # nats
    ablated: np.ndarray  # [ablation] nats more with zero / the mean at the site
    step: np.ndarray  # [row]
    fvu: np.ndarray  # [row]
    l0: np.ndarray  # [row]
    dead: np.ndarray  # [row]
    delta_ce: np.ndarray  # [row] nats
    final_fvu: np.ndarray  # [kind]
    final_l0: np.ndarray  # [kind]
    final_dead: np.ndarray  # [kind]
    final_delta_ce: np.ndarray  # [kind] nats

    @property
    def finished(self) -> bool:
        return self.reached == self.steps

    @property
    def recovered(self) -> np.ndarray:
        """[kind, ablation]: the share of an ablation's cost that is not lost."""
        with np.errstate(divide="ignore", invalid="ignore"):
            share: np.ndarray = 1 - self.final_delta_ce[:, None] / self.ablated[None]
        return np.where(self.ablated[None] > 0, share, np.nan)

    def to_frame(self) -> "pd.DataFrame":
        """One row per point of the curves."""
        import pandas as pd

        names = ("step", "fvu", "l0", "dead", "delta_ce")
        return pd.DataFrame({name: getattr(self, name) for name in names})
