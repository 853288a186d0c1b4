"""Attention of the last few queries of a text, in every layer, without the rest of the pattern."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from core.engine import attention
from core.engine.forward import run
from core.engine.rows import Rows
from core.models.loaded import Loaded
from core.spec.errors import Error
from core.spec.site import Site

# (layer, attention [head, query, key] in float32 of the last queries)
Take = Callable[[int, Tensor], None]
MOST_WHOLE = 1_024  # tokens, where a family hands out whole patterns of all layers at once


def last_rows(
    loaded: Loaded, text: Rows, n: int, take: Take, check: Callable[[], None] | None = None
) -> Tensor:
    """Run one row of a decoder; hand over what its last `n` queries attend to, layer by layer.

    Returns the logits [n, d_vocab] behind those tokens. Memory is linear in the text, but for
    families that hand out whole patterns only: these are refused beyond 1,024 tokens.
    """
    length = text.ids.shape[1]
    at = list(range(length - n, length))
    if not loaded.pattern_source:
        raise Error(f"{loaded.family} does not hand out its attention, so its heads have no scores")
    if loaded.pattern_source == "outputs":
        return _whole(loaded, text, at, take, check)
    with attention.listening(_listener(loaded, n, take)):
        logits = run(loaded, text, logits=at, check=check).logits
    assert logits is not None
    return logits[0]


def _listener(loaded: Loaded, n: int, take: Take) -> attention.Listener:
    layer_of = attention.layers_of(loaded.stacks[""].blocks)

    def hear(
        module: nn.Module,
        query: Tensor,
        key: Tensor,
        mask: Tensor | None,
        options: dict[str, object],
    ) -> None:
        layer = layer_of.get(id(module))
        if layer is None:
            return
        part = None if mask is None else mask[..., -n:, :]
        bias = options.get("position_bias")
        if isinstance(bias, Tensor):
            options = {**options, "position_bias": bias[..., -n:, :]}
        take(layer, attention.weights(module, query[:, :, -n:], key, part, options)[0])

    return hear


def _whole(
    loaded: Loaded, text: Rows, at: list[int], take: Take, check: Callable[[], None] | None
) -> Tensor:
    if text.ids.shape[1] > MOST_WHOLE:
        raise Error(
            f"{loaded.family} hands out whole attention patterns only, which takes too much memory "
            f"beyond {MOST_WHOLE:,} tokens; ask for a shorter text"
        )
    sites = [
        [Site(layer, "pattern", position=place) for place in at]
        for layer in range(len(loaded.stacks[""].blocks))
    ]
    read = [site for row in sites for site in row]
    trace = run(loaded, text, read=read, logits=at, check=check)
    for layer, row in enumerate(sites):
        weights = [trace.values[site][0] for site in row]  # [head, 1, key] each
        take(layer, torch.cat(weights, dim=1))
    assert trace.logits is not None
    return trace.logits[0]
