"""The logit lens: what each layer would say if the model stopped there."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from core.results.base import Result


@dataclass(frozen=True)
class LensResult(Result):
    """Top tokens and entropy of every layer at every token.

    Row l of the layer axis is `L{l}.resid_post` read through the final norm and the
    unembedding; its last row is the model's own answer. `embed_*` is the same for the
    embedding (`L0.resid_pre`). `random_*` is the control: the same reading of a random
    state of equal norm at every layer and token.
    """

    name: ClassVar[str] = "lens"
    tokens: tuple[str, ...]
    special: tuple[bool, ...]
    shown: tuple[tuple[tuple[str, ...], ...], ...]  # [layer][token][k] the pieces of top_ids
    embed_shown: tuple[tuple[str, ...], ...]  # [token][k]
    changed: bool  # run under clamps
    top_ids: np.ndarray  # [layer, token, k] int64
    top_logits: np.ndarray  # [layer, token, k] float32
    top_probability: np.ndarray  # [layer, token, k] 0 to 1
    entropy: np.ndarray  # [layer, token] nats
    final_rank: (
        np.ndarray
    )  # [layer, token] rank the layer gives the model's final choice, 0 = first
    final_probability: np.ndarray  # [layer, token] of the model's final choice
    kl: np.ndarray  # [layer, token] nats, KL(final || layer)
    embed_top_ids: np.ndarray  # [token, k]
    embed_top_logits: np.ndarray  # [token, k]
    embed_top_probability: np.ndarray  # [token, k]
    embed_entropy: np.ndarray  # [token]
    embed_final_rank: np.ndarray  # [token]
    embed_final_probability: np.ndarray  # [token]
    embed_kl: np.ndarray  # [token]
    random_entropy: np.ndarray  # [layer, token] nats
    random_final_probability: np.ndarray  # [layer, token]
