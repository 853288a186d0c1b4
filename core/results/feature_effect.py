"""What a feature does to the next token by all paths, beside what it would say by itself."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.pieces import WithPieces

if TYPE_CHECKING:
    import pandas as pd

CONDITIONS = ("added", "ablated")


@dataclass(frozen=True)
class FeatureEffect(WithPieces):
    """Mean change of log p of every next token under two conditions, in nats.

    "added": `times` the largest activation of the corpus at every token that counts, in contexts
    spread over the corpus. "ablated": set to zero where it fires, in contexts where it fires; its
    change is that of taking the feature away. Errors are standard errors over contexts. Controls:
    random directions that move the same tokens as far. Where no lens reads the dictionary the
    fields about the direct path are NaN, and `why_no_lens` says so; a feature that nowhere fires
    alone has no second condition (NaN).
    """

    name: ClassVar[str] = "feature_effect"
    dictionary: str
    feature: int
    site: str
    out_site: str
    corpus: str
    times: float
    n_vocabulary: int
    n_controls: int
    n_agreement: int  # tokens of the lens that agreement is about
    why_no_lens: str
    activation: float  # added, in the dictionary's own units
    length: float  # of what was added, mean over tokens
    stream: float  # mean length of the site it is added to, same tokens
    n_contexts: np.ndarray  # [condition]
    n_tokens: np.ndarray  # [condition] that the means are over
    kl: np.ndarray  # [condition] KL(clean || changed), mean over tokens, nats
    control_kl: np.ndarray  # [condition, control]
    control_largest: np.ndarray  # [condition, control] largest |mean change| of any token
    top_ids: np.ndarray  # [condition, k] int64, tokens raised most
    top_change: np.ndarray  # [condition, k] nats
    top_error: np.ndarray  # [condition, k]
    top_control: np.ndarray  # [condition, k] mean over controls
    top_rank: np.ndarray  # [condition, k] place in the lens, 1 is the most promoted; 0 unknown
    bottom_ids: np.ndarray  # [condition, k] tokens lowered most
    bottom_change: np.ndarray  # [condition, k]
    bottom_error: np.ndarray  # [condition, k]
    bottom_control: np.ndarray  # [condition, k]
    bottom_rank: np.ndarray  # [condition, k]
    direct_ids: np.ndarray  # [agreement] tokens the lens puts first
    direct_score: np.ndarray  # [agreement] logit per unit of written length
    direct_change: np.ndarray  # [condition, agreement] what really happens to them
    direct_control: np.ndarray  # [condition, agreement] mean over controls
    agreement: np.ndarray  # [condition] Spearman of the two; of "ablated" with the sign turned
    control_agreement: np.ndarray  # [condition, control]
    whole: np.ndarray  # [condition] Spearman over the whole vocabulary
    control_whole: np.ndarray  # [condition, control]

    def to_frame(self) -> "pd.DataFrame":
        """One row per condition, end and rank."""
        import pandas as pd

        parts = []
        for row, condition in enumerate(CONDITIONS):
            for end in ("top", "bottom"):
                columns = {
                    name: getattr(self, f"{end}_{name}")[row]
                    for name in ("change", "error", "control", "rank")
                }
                words = self.read(getattr(self, f"{end}_ids")[row])
                parts.append(
                    pd.DataFrame({"condition": condition, "end": end, "token": words, **columns})
                )
        return pd.concat(parts, ignore_index=True)
