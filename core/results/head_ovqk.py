"""One head by its weights: what it writes for a token, what it looks for, in how many ways."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.pieces import WithPieces

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class HeadOvqk(WithPieces):
    """The two circuits of one head, OV and QK, read as tokens.

    Groups of arrays ("ov", "sources_of" ...) are mappings by name; ids are int64, z are over the
    vocabulary (`n_vocabulary` tokens) where something is written, over the `n_tokens` tokens read
    with where something is read. Controls: `null_z`, `read_null_z`, the 99th percentile of the
    largest |z| of `n_null` random directions, which is what thin factors of Gaussian weights
    write and read; another head of the layer (`control_head`, -1 with none) on the same tokens;
    spectrum and pairs of `n_random` heads of Gaussian weights whose circuit is as large.
    """

    name: ClassVar[str] = "head_ovqk"
    layer: int
    head: int
    kv_head: int
    embedding: str  # the one this layer was read with
    against: str
    relative: bool  # True: less what the head writes for common tokens on average
    start: str
    asked: str  # "" when the tokens were chosen: those the head writes most for
    notes: tuple[str, ...]
    n_vocabulary: int
    n_tokens: int
    n_pairs: int  # query and key tokens of the QK table
    n_null: int
    n_random: int
    null_z: float
    read_null_z: float
    control_head: int
    offset: int  # query minus key position of the QK table
    position: str  # how scores depend on it: "rotary", "added" or "none"
    window: int  # tokens a query sees, 0 for all
    capped: bool  # scores are shown as the model caps them
    normed: bool  # queries and keys are normed, as in the model
    participation: float  # 1 to d_head: how many singular channels carry the OV circuit
    control_participation: float  # mean of the random heads
    pair_control_z: float  # largest z of a pair in the control head; NaN without one
    pair_random_z: float  # mean of the largest z in the random heads
    query_id: int  # the pair of `offset_score`
    key_id: int
    constant_norm: float  # length of what the head writes whatever it sees; 0 without a bias
    source_ids: np.ndarray  # [source] the tokens asked for, or chosen
    spectrum: np.ndarray  # [rank] singular values of W_V W_O, largest first
    control_spectrum: np.ndarray  # [rank] mean of the random heads
    layer_participation: np.ndarray  # [head] of all heads of the layer
    # top_ids, top_logits, top_z, bottom_ids, bottom_logits, bottom_z [source, k]: what it writes;
    # own_rank, own_z [source]: where the token itself stands; norm [source]; control_z [source]:
    # the largest |z| that the control head writes for it
    ov: Mapping[str, np.ndarray]
    # top_ids, top_z, bottom_ids, bottom_z [source, k]: for which tokens it writes the source token
    sources_of: Mapping[str, np.ndarray]
    # read_/write_ top_ids, top_z, bottom_ids, bottom_z [channel, k]: both signs of each channel
    channels: Mapping[str, np.ndarray]
    # query_ids, key_ids, score, preference, z [pair]: preference is the score less its mean over
    # keys, since softmax is blind to what all keys have in common
    pairs: Mapping[str, np.ndarray]
    # key_ids, key_z [source, k]: what a query of the source token looks for; query_ids, query_z
    # [source, k]: whose queries look for it
    prefers: Mapping[str, np.ndarray]
    # offsets, score (of the pair), mean (over pairs of common tokens), control (that mean in the
    # control head; NaN without one) [offset]
    offsets: Mapping[str, np.ndarray]
    # top_ids, top_z, bottom_ids, bottom_z [k] of what it writes whatever it sees
    constant: Mapping[str, np.ndarray]
    stack: str = ""

    @property
    def site(self) -> str:
        """Its address."""
        return f"{'enc.' if self.stack else ''}L{self.layer}.head[{self.head}]"

    def to_frame(self) -> "pd.DataFrame":
        """One row per source token, end and rank of what the head writes."""
        import pandas as pd

        parts = []
        for row, source in enumerate(self.read(self.source_ids)):
            for end in ("top", "bottom"):
                ids = self.ov[f"{end}_ids"][row]
                table = {"token": self.read(ids), "score": self.ov[f"{end}_logits"][row]}
                table["z"] = self.ov[f"{end}_z"][row]
                parts.append(pd.DataFrame({"source": source, "end": end, **table}))
        return pd.concat(parts, ignore_index=True)
