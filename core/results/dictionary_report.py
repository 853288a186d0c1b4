"""How well dictionaries give back what they read, and what that costs the model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.pieces import WithPieces

if TYPE_CHECKING:
    import pandas as pd

# "random": unit decoder rows drawn at random, the encoder their transpose, the same biases and as
# many features a token. "shuffled": the dictionary's own rows, each written by another feature.
CONDITIONS = ("dictionary", "random", "shuffled")
LOSSES = (*CONDITIONS, "zero", "mean")  # what stands at the site instead of its value


@dataclass(frozen=True)
class DictionaryReport(WithPieces):
    """Quality of one or more dictionaries of a model on one corpus; first axis: `dictionaries`.

    FVU = sum |y - y^|^2 / sum |y - mean y|^2 over the tokens that count, the mean that of the
    corpus; `fvu_centred` leaves out a constant error. Losses are pure splices: the site holds the
    reconstruction, the first token of each text and special ones their own value.
    """

    name: ClassVar[str] = "dictionary_report"
    dictionaries: tuple[str, ...]
    sites: tuple[str, ...]  # "L2.resid_post", of a transcoder "L2.resid_mid to L2.mlp_out"
    corpus: str
    n_tokens: int  # that count in the statistics, the dead fraction and the density
    n_contexts: int
    n_loss_tokens: int
    n_loss_contexts: int
    loss_missing: str  # why there are no losses, "" when there are
    ce_clean: float  # nats a token
    n_features: np.ndarray  # [dictionary]
    l0: np.ndarray  # [dictionary, condition] features a token
    l1: np.ndarray  # [dictionary, condition] sum of written lengths a token
    fvu: np.ndarray  # [dictionary, condition]
    fvu_centred: np.ndarray  # [dictionary, condition]
    cosine: np.ndarray  # [dictionary, condition] mean over tokens
    norm_ratio: np.ndarray  # [dictionary, condition] mean of |y^| / |y|
    bias: np.ndarray  # [dictionary, condition] E|y^|^2 / E[y y^]; 1 unbiased, below 1 shrunk
    delta_ce: np.ndarray  # [dictionary, loss] nats a token more than clean
    delta_ce_low: np.ndarray  # [dictionary, loss] 95 %, bootstrap over contexts
    delta_ce_high: np.ndarray  # [dictionary, loss]
    kl: np.ndarray  # [dictionary, loss] nats a token, KL(clean || spliced)
    recovered: np.ndarray  # [dictionary, condition, 2] of the loss of zero / mean ablation
    kl_recovered: np.ndarray  # [dictionary, condition, 2]
    dead_share: np.ndarray  # [dictionary] features that fire at none of n_tokens
    density: Mapping[str, np.ndarray]  # by dictionary [feature]: share of tokens it fires at
    position_edges: np.ndarray  # [bucket + 1] positions from edge to edge
    position_n: np.ndarray  # [bucket] tokens
    position_fvu: np.ndarray  # [dictionary, bucket]
    norm_edges: np.ndarray  # [dictionary, part + 1] |y|
    norm_n: np.ndarray  # [dictionary, part] tokens
    norm_fvu: np.ndarray  # [dictionary, part]
    worst_context: np.ndarray  # [dictionary, shown] number in the corpus; -1: none
    worst_fvu: np.ndarray  # [dictionary, shown] highest first
    worst_ids: np.ndarray  # [dictionary, shown, token] -1 behind the end
    worst_error: np.ndarray  # [dictionary, shown, token] |y - y^|^2 over its mean; NaN: not counted

    def to_frame(self) -> "pd.DataFrame":
        """One row per dictionary and condition."""
        import pandas as pd

        table = []
        for row, name in enumerate(self.dictionaries):
            for column, condition in enumerate(LOSSES):
                entry: dict[str, object] = {"dictionary": name, "condition": condition}
                if column < len(CONDITIONS):
                    entry |= {
                        key: getattr(self, key)[row, column]
                        for key in ("l0", "l1", "fvu", "fvu_centred", "cosine", "norm_ratio")
                    }
                    entry["bias"] = self.bias[row, column]
                    entry["recovered (zero)"] = self.recovered[row, column, 0]
                    entry["recovered (mean)"] = self.recovered[row, column, 1]
                entry["delta CE"] = self.delta_ce[row, column]
                entry["KL"] = self.kl[row, column]
                table.append(entry)
        return pd.DataFrame(table)
