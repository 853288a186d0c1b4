"""An edited model written to disk: what was changed, how exactly, and what it does."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class EditedResult(Result):
    """A plain model folder whose weights do what the changes did.

    `difference` is the largest |logit| by which the folder, loaded again, differs from the
    original model under the changes, beside the largest |logit| there is. `kl` and
    `loss_increase` are about neutral text: the edited model against the original, and the mean of
    random changes that move the stream as far.
    """

    name: ClassVar[str] = "edited"
    model: str
    folder: str
    files: tuple[str, ...]
    changes: tuple[str, ...]  # each change in one line
    n_tokens: int
    n_controls: int
    seed: int
    prompts: tuple[str, ...]
    before: tuple[str, ...]  # [prompt] greedy continuation of the original
    after: tuple[str, ...]  # [prompt] of the edited model
    difference: np.ndarray  # [1] logits
    largest: np.ndarray  # [1] logits
    kl: np.ndarray  # [2] nats per token: edited, control
    loss_increase: np.ndarray  # [2] nats per token: edited, control
    bytes: np.ndarray  # [1] of the weights written

    def to_frame(self) -> "pd.DataFrame":
        """One row per prompt: the text before and after."""
        import pandas as pd

        table = {"prompt": self.prompts, "before": self.before, "after": self.after}
        return pd.DataFrame({name: list(values) for name, values in table.items()})
