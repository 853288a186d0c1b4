"""How an answer splits, exactly, over the tokens of a text; and the linear maps that carry it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class LocalMap(Result):
    """The score of an answer as a sum over tokens, norms, attention weights and gates held.

    part + constant = score, exactly: an identity at this very text, not what would happen if a
    token were changed. Beside it the ordinary gradient x embedding, which does not add up, and the
    same map fed with other tokens of the text at each place (shuffled). Layer l of a layer axis is
    what enters block l, the last row what leaves the last block. Everything about vectors and ranks
    has length 0 where the maps were not asked for.
    """

    name: ClassVar[str] = "local_map"
    tokens: tuple[str, ...]
    special: tuple[bool, ...]
    position: int
    answer: str
    against: str  # "": the logit itself
    target: str  # "logit", or "length" of the state where the head is more than one matrix
    why_not: str  # why there is no logit, "" when there is
    dtype: str  # what it was computed in
    seed: int
    score: float  # logit units, in front of any cap
    said: float  # the same as the model itself says it, in its own precision
    miss: float  # |score less its parts|: rounding
    ordinary_miss: float  # the same for the ordinary gradient
    constants: tuple[str, ...]
    constant: np.ndarray  # [constant] what is no token's: positions, biases, a decoder's start
    part: np.ndarray  # [token]
    ordinary: np.ndarray  # [token] gradient x embedding, nothing held
    ordinary_constant: np.ndarray  # [constant]
    shuffled_low: np.ndarray  # [token] 2.5 % of the parts of the other tokens at this place
    shuffled_high: np.ndarray  # [token] 97.5 %
    layer_part: np.ndarray  # [layer, token] of the stream there
    layer_constant: np.ndarray  # [layer]
    # The maps from each token to the state that is read.
    written: np.ndarray  # [token] length of what a token's map makes of it / length of the state
    stable_rank: np.ndarray  # [layer, token] sum s^2 / s_1^2, NaN where nothing passes
    fresh_rank: np.ndarray  # [layer, token] the same with fresh weights
    mapped: tuple[int, ...]  # the tokens whose maps were taken apart: the asked one, the strongest
    singular: np.ndarray  # [mapped, k] largest singular values
    use: np.ndarray  # [mapped, k] share of what the token writes that goes along each pair
    says: tuple[tuple[tuple[str, ...], ...], ...]  # [mapped][k] tokens nearest to what it writes
    reads: tuple[tuple[tuple[str, ...], ...], ...]  # [mapped][k] tokens it reads most

    @property
    def share(self) -> np.ndarray:
        """[token] of the sum of all sizes, tokens and constants together; signed."""
        whole = np.abs(self.part).sum() + np.abs(self.constant).sum()
        found: np.ndarray = self.part / max(whole, 1e-30)
        return found

    def to_frame(self) -> "pd.DataFrame":
        """One row per token, then the constants."""
        import pandas as pd

        none = np.full(len(self.constants), np.nan)
        columns = {
            "part": np.concatenate([self.part, self.constant]),
            "ordinary": np.concatenate([self.ordinary, self.ordinary_constant]),
            "shuffled_low": np.concatenate([self.shuffled_low, none]),
            "shuffled_high": np.concatenate([self.shuffled_high, none]),
        }
        return pd.DataFrame({"token": (*self.tokens, *self.constants), **columns})
