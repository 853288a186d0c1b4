"""What a model is, what was checked about it, and what cannot be done with it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from core.results.base import Result


@dataclass(frozen=True)
class CardResult(Result):
    """The model card of one loaded model; holds no arrays."""

    name: ClassVar[str] = "card"
    model: str
    family: str
    kind: str  # "decoder", "encoder" or "encoder-decoder"
    # n_layers, n_heads, n_kv_heads, d_model, d_head, d_mlp, d_vocab, n_ctx; n_encoder_layers of
    # the encoder beside a decoder
    sizes: Mapping[str, int]
    n_parameters: int
    dtype: str
    device: str
    memory_bytes: int  # of the weights as loaded
    needed_bytes: int  # estimated from the file headers before loading, working room included
    free_bytes: int  # free on the device then
    load_seconds: float
    fingerprint: str  # SHA-256 of the weights
    # ("a", "resid_pre + attn_out + mlp_out = resid_post", "passed" | "failed" | "not applicable",
    #  largest relative error or the reason)
    checks: tuple[tuple[str, str, str, str], ...]
    unavailable: tuple[tuple[str, str], ...]  # (view, why)
    notes: tuple[str, ...]  # e.g. "trained at 256 tokens; longer texts are outside its experience"
    about: str  # the folder's CARD.md or README.md, as text, "" where none is
