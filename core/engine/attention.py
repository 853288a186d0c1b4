"""Attention patterns through the library's public attention interface.

One function, registered once under our own names, hands every call on to the
implementation the model would have used anyway (so logits keep their bits) and, where a
pattern is wanted, computes it from the same queries and keys.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

# (module, query, key, mask, options of the call and the values under "value")
Listener = Callable[[nn.Module, Tensor, Tensor, Tensor | None, dict[str, Any]], None]

Attend = Callable[..., tuple[Tensor, Tensor | None]]
# (what the model would have called, module, query, key, value, mask, options of the call); returns
# the heads' outputs [row, query, head, d_head] and weights or None, as that would.
StandIn = Callable[
    [Attend, nn.Module, Tensor, Tensor, Tensor, Tensor | None, dict[str, Any]],
    tuple[Tensor, Tensor | None],
]

_PREFIX = "eidoscope_"
_listener: ContextVar[Listener | None] = ContextVar("attention_listener", default=None)
_stand_in: ContextVar[StandIn | None] = ContextVar("attention_stand_in", default=None)


def _base(name: str, module: nn.Module) -> Attend:
    if name == "eager":  # eager functions live beside their model, not in the global table
        eager: Attend = sys.modules[type(module).__module__].eager_attention_forward
        return eager
    from transformers import AttentionInterface  # slow to import

    known: Attend = AttentionInterface()[name]
    return known


def _attend(
    name: str,
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    **options: Any,
) -> tuple[Tensor, Tensor | None]:
    listener = _listener.get()
    if listener is not None:
        listener(module, query, key, attention_mask, {**options, "value": value})
    base, stand_in = _base(name, module), _stand_in.get()
    if stand_in is not None:
        return stand_in(base, module, query, key, value, attention_mask, options)
    return base(module, query, key, value, attention_mask, **options)


def install(module: Any) -> bool:
    """Route a model's attention through us. False when its family has no such interface."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS

    base = module.config.get_text_config()._attn_implementation
    if base not in ("sdpa", "eager") or not module._can_set_attn_implementation():
        return base.startswith(_PREFIX)
    name = _PREFIX + base
    AttentionInterface.register(name, partial(_attend, base))
    AttentionMaskInterface.register(name, ALL_MASK_ATTENTION_FUNCTIONS[base])
    module.set_attn_implementation(name)
    return bool(module.config.get_text_config()._attn_implementation == name)


@contextmanager
def listening(listener: Listener | None) -> Iterator[None]:
    """Hear every attention call of this thread while inside."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


@contextmanager
def standing_in(stand_in: StandIn) -> Iterator[None]:
    """Let this be called for every attention call of this thread while inside.

    Only where a model's attention goes through the interface. A listener hears what came in.
    """
    token = _stand_in.set(stand_in)
    try:
        yield
    finally:
        _stand_in.reset(token)


def layers_of(blocks: Iterable[Any]) -> dict[int, int]:
    """Which layer a self-attention module is of, by its id; cross-attention is left out."""
    found: dict[int, int] = {}
    for layer, block in enumerate(blocks):
        cross = set(block.cross.modules()) if block.cross is not None else set()
        found |= {id(module): layer for module in set(block.whole.modules()) - cross}
    return found


def weights(
    module: nn.Module,
    query: Float[Tensor, "row head query d_head"],
    key: Float[Tensor, "row kv_head key d_head"],
    mask: Shaped[Tensor, "..."] | None,
    options: dict[str, Any],
    head: int | None = None,
) -> Float[Tensor, "row shown query key"]:
    """Attention probabilities [row, head, query, key] in float32 (one head: that axis is 1).

    query [row, head, query, d_head] and key [row, kv head, key, d_head] as the interface hands
    them on: after rotary embedding and key cache. Query heads share keys in order.
    """
    per_key = query.shape[1] // key.shape[1]
    if head is None:
        keys = key.repeat_interleave(per_key, dim=1) if per_key > 1 else key
    else:
        query, keys = query[:, head : head + 1], key[:, head // per_key : head // per_key + 1]
    scaling = options.get("scaling")
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    scores = query.float() @ keys.float().transpose(2, 3) * scaling
    cap = options.get("softcap")
    if cap is not None:
        scores = cap * torch.tanh(scores / cap)
    bias = options.get("position_bias")
    if bias is not None:
        scores = scores + (bias if head is None else bias[:, head : head + 1]).float()
    return torch.softmax(_masked(scores, mask, module, options), dim=-1)


def _masked(
    scores: Tensor, mask: Tensor | None, module: nn.Module, options: dict[str, Any]
) -> Tensor:
    if mask is not None:
        mask = mask[..., : scores.shape[-1]]
        if mask.dtype == torch.bool:
            return scores.masked_fill(~mask, float("-inf"))
        return scores + mask.float()
    causal = options.get("is_causal")
    causal = getattr(module, "is_causal", True) if causal is None else causal
    queries, keys = scores.shape[-2:]
    if not causal or queries == 1:  # a lone query is the newest token and sees all
        return scores
    later = torch.ones(queries, keys, dtype=torch.bool, device=scores.device)
    return scores.masked_fill(later.triu(keys - queries + 1), float("-inf"))
