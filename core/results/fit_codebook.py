"""A codebook fitted to a site: its rounds, and how good it is beside TopK and PCA."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd

KINDS = ("codebook", "TopK", "PCA", "random codes")


@dataclass(frozen=True)
class FitCodebook(Result):
    """Rounds on the training tokens, final figures on held-out ones.

    fvu: squared error over the variance about the held-out mean. l0: codes (features, components)
    a token. unused: share that no held-out token takes. delta_ce: what next tokens cost more, in
    nats, with the reconstruction in the place of the site; NaN where `loss_missing` says why.

    Beside it: TopK with as many features and the same k, trained on the same tokens for
    `topk_steps` steps; PCA with k components. Control: random codes with the same pursuit.
    """

    name: ClassVar[str] = "fit_codebook"
    dictionary: str
    site: str
    n_codes: int
    k: int
    seed: int
    corpus: str
    division: str  # how held-out contexts were chosen
    n_train_tokens: int
    n_held_tokens: int
    n_loss_contexts: int
    loss_missing: str
    topk_steps: int
    ce_clean: float  # nats
    left: np.ndarray  # [round] share of the squared length that codes leave, training tokens
    fvu: np.ndarray  # [kind]
    l0: np.ndarray  # [kind]
    unused: np.ndarray  # [kind]
    delta_ce: np.ndarray  # [kind] nats

    def to_frame(self) -> "pd.DataFrame":
        """One row per kind."""
        import pandas as pd

        names = ("fvu", "l0", "unused", "delta_ce")
        return pd.DataFrame({"kind": KINDS, **{name: getattr(self, name) for name in names}})
