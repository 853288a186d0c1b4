"""One run that shows what attention is told about positions, and proves the family's row.

Scale, cap, window, rotation and additive bias are taken from the calls themselves: the keywords
of the blocks and what the attention function receives.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from core.corpus.reference import reference_chunks
from core.engine import attention
from core.engine.forward import run
from core.engine.head_weights import HeadWeights, heads_of, scaled, unproved
from core.engine.rows import Rows, rows
from core.models.loaded import Loaded
from core.spec.errors import Error
from core.spec.site import Component, Site

FURTHEST = 64  # offsets
# Of the scores' own spread; half precision carries about three digits of each product.
TOLERANCE = {torch.float32: 1e-2, torch.float64: 1e-2}
LOOSE = 0.15
_SEEN = 1e-6  # attention below this says nothing exact about its score


@dataclass(frozen=True)
class Positions:
    """How one layer's scores depend on where query and key stand.

    score = cap(scale x (turned query) . (turned key)) + bias, in front of mask and softmax.
    cos, sin [position, pair]: by what angles the pairs of coordinates turn, None without rotation.
    bias [head, offset]: added at offset query - key, from -furthest to furthest, less what is
    added at offset 0; None without one. window: how many tokens a query sees, 0 for all.
    """

    scale: float
    cap: float | None
    window: int
    neighbours: bool
    cos: Tensor | None
    sin: Tensor | None
    bias: Tensor | None
    furthest: int

    def turned(self, values: Float[Tensor, "*places d_head"], position: int) -> Tensor:
        """Queries or keys [..., d_head] as they are at a position from -furthest to furthest."""
        if self.cos is None or self.sin is None:
            return values
        cos = self.cos[abs(position)]
        sin = self.sin[abs(position)] * (1 if position >= 0 else -1)
        n = 2 * len(cos)
        turned, rest = values[..., :n], values[..., n:]
        pairs = turned.unflatten(-1, (-1, 2) if self.neighbours else (2, -1))
        a, b = pairs.unbind(-1 if self.neighbours else -2)
        made = torch.stack([a * cos - b * sin, b * cos + a * sin], -1 if self.neighbours else -2)
        return torch.cat([made.flatten(-2), rest], dim=-1)

    def scores(
        self,
        query: Float[Tensor, "query d_head"],
        key: Float[Tensor, "key d_head"],
        offset: int,
        head: int,
    ) -> Float[Tensor, "query key"]:
        """What softmax is taken of, for a head's queries `offset` tokens behind its keys."""
        found = self.final(self.turned(query, offset) @ self.turned(key, 0).T)
        return found if self.bias is None else found + self.bias[head, offset + self.furthest]

    def final(self, products: Tensor) -> Tensor:
        """Products of turned queries and keys, scaled and capped."""
        found = self.scale * products
        return found if self.cap is None else self.cap * torch.tanh(found / self.cap)


@dataclass
class _Heard:
    """What one layer's block and attention function were called with, and its pattern."""

    keywords: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    pattern: Tensor | None = None


def head_weights(loaded: Loaded, layer: int, stack: str = "") -> HeadWeights:
    """The matrices of a layer's heads, after one run has proved the family's row.

    Raises `Error` where the row does not fit, or nothing shows whether it does.
    """
    positions(loaded, stack)
    return unproved(loaded, layer, stack)


def positions(loaded: Loaded, stack: str = "") -> tuple[Positions, ...]:
    """How scores depend on positions, for each layer; one run per model."""
    key = ("head_positions", stack)
    if key not in loaded.memo:
        unproved(loaded, 0, stack)  # the sentences of what is not there come first
        loaded.memo[key] = _probe(loaded, stack)
    found: tuple[Positions, ...] = loaded.memo[key]
    return found


def _probe(loaded: Loaded, stack: str) -> tuple[Positions, ...]:
    if not loaded.pattern_source:
        raise Error(
            f"{loaded.family} does not hand out its attention patterns, so what is known of its "
            "queries and keys cannot be checked; load the model with eager or sdpa attention"
        )
    text, n_layers = _text(loaded, stack), len(loaded.stacks[stack].blocks)
    parts: list[Component] = ["resid_pre", "head"]
    parts += ["pattern"] if loaded.pattern_source == "outputs" else []
    sites = [Site(n, part, stack=stack) for n in range(n_layers) for part in parts]
    with loaded.busy(), _listening(loaded, stack) as heard:
        seen = run(loaded, text, read=sites, logits="none").values
    found = []
    for layer in range(n_layers):
        stream, z, *pattern = (seen[Site(layer, part, stack=stack)][0] for part in parts)
        here = _read(loaded, stack, layer, heard[layer], len(stream))
        own = heard[layer].pattern
        _prove(loaded, stack, layer, here, stream, z, pattern[0] if own is None else own)
        found.append(here)
    return tuple(found)


def _text(loaded: Loaded, stack: str) -> Rows:
    """The beginning of the reference text; to a decoder beside an encoder as its own tokens."""
    ids = [token for chunk in reference_chunks(loaded) for token in chunk]
    ids = ids[: min(FURTHEST + 1, loaded.n_ctx or FURTHEST + 1)]
    made = rows(loaded, [ids])
    if made.targets is None or stack:
        return made
    return Rows(made.ids, made.lengths, torch.cat([made.targets, made.ids[:, :-1]], dim=1))


@contextmanager
def _listening(loaded: Loaded, stack: str) -> Iterator[list[_Heard]]:
    """Hear the keywords of every block of a stack, and the options of its self-attention."""
    blocks = loaded.stacks[stack].blocks
    heard = [_Heard() for _ in blocks]
    owner: dict[int, _Heard] = {}
    with ExitStack() as armed:
        for block, each in zip(blocks, heard, strict=True):
            handle = block.whole.register_forward_pre_hook(_keep(each), with_kwargs=True)
            armed.callback(handle.remove)
            cross = set(block.cross.modules()) if block.cross is not None else set()
            owner |= {id(part): each for part in set(block.whole.modules()) - cross}
        armed.enter_context(attention.listening(_hear(owner)))
        yield heard


def _keep(heard: _Heard) -> Callable[..., None]:
    def before(_: nn.Module, __: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        heard.keywords = dict(kwargs)

    return before


def _hear(owner: dict[int, _Heard]) -> attention.Listener:
    def hear(
        module: nn.Module, query: Tensor, key: Tensor, mask: Tensor | None, options: dict[str, Any]
    ) -> None:
        if id(module) in owner:
            heard = owner[id(module)]
            heard.options = dict(options)
            heard.pattern = attention.weights(module, query, key, mask, options)[0]

    return hear


def _read(loaded: Loaded, stack: str, layer: int, heard: _Heard, n: int) -> Positions:
    """The record of one layer from what it was called with."""
    family, size = loaded.stacks[stack].family, loaded.d_head**-0.5
    scale = heard.options.get("scaling")
    scale = (1.0 if family.unscaled else size) if scale is None else float(scale)
    cap, window = heard.options.get("softcap"), heard.options.get("sliding_window")
    bias = _bias(heard, family.position_bias, family.bias_in_mask, size, n)
    cos, sin = (None, None) if bias is not None else _angles(loaded, stack, layer, heard, n)
    return Positions(
        scale=scale * (size if family.scaled_queries else 1.0),
        cap=None if cap is None else float(cap),
        window=int(window or 0),
        neighbours=family.rotary == "neighbours",
        cos=cos,
        sin=sin,
        bias=bias,
        furthest=n - 1,
    )


def _angles(
    loaded: Loaded, stack: str, layer: int, heard: _Heard, n: int
) -> tuple[Tensor | None, Tensor | None]:
    """Cosines and sines [position, pair] of a layer that turns its queries and keys."""
    family = loaded.stacks[stack].family
    key, value = family.rotary_in
    if not family.rotary or (key and getattr(loaded.config, key)[layer] != value):
        return None, None
    if family.sinusoids:
        path, _, name = family.sinusoids.rpartition(".")
        block = loaded.stacks[stack].blocks[layer].whole
        sin, cos = getattr(block.get_submodule(path), name)[:n].float().chunk(2, dim=-1)
        return cos, sin
    table = heard.keywords.get("position_embeddings")
    if table is None:
        raise Error(
            f"{loaded.name}: layer {layer} is not told its rotation as {loaded.family} should be, "
            "so its queries and keys cannot be read from the weights"
        )
    cos, sin = (part.float().reshape(-1, n, part.shape[-1])[0] for part in table)
    half = cos.shape[-1] // 2
    # Every angle stands there twice, side by side or in two halves; which of them, it shows.
    halves = torch.equal(cos[:, :half], cos[:, half:])
    return (cos[:, :half], sin[:, :half]) if halves else (cos[:, ::2], sin[:, ::2])


def _bias(heard: _Heard, keyword: str, in_mask: bool, size: float, n: int) -> Tensor | None:
    """What is added at each offset, [head, offset]; None where nothing is."""
    given = heard.options.get("position_bias")
    given = heard.keywords.get(keyword) if given is None and keyword else given
    if given is None:
        return None
    table = given.float()
    table = table.reshape(-1, *table.shape[-2:])[..., -n:]  # [head, query or 1, key]
    if in_mask:
        table = table * size + heard.keywords["attention_mask"][0, :, -1:, :].float()
    last, first = table[:, -1], table[:, 0]
    behind = last.flip(-1) - last[:, -1:]  # offsets 0 to furthest
    ahead = first - first[:, :1] if table.shape[1] > 1 else torch.zeros_like(first)
    return torch.cat([ahead.flip(-1)[:, :-1], behind], dim=1)


def _prove(
    loaded: Loaded,
    stack: str,
    layer: int,
    here: Positions,
    stream: Tensor,
    z: Tensor,
    pattern: Tensor,
) -> None:
    """Raise `Error` unless queries, keys and values of the weights give what the model did."""
    heads = unproved(loaded, layer, stack)
    x = scaled(loaded, layer, stream, stack)
    limit = TOLERANCE.get(loaded.module.dtype, LOOSE)  # type: ignore[call-overload]
    each = heads.n_heads // len(heads.k)
    value = heads_of(x, heads.v, heads.b_v).repeat_interleave(each, dim=1)
    made = torch.einsum("hqk,khe->qhe", pattern.float(), value)
    error = float((made - z.float()).norm() / z.float().norm().clamp_min(1e-6))
    if not error <= limit:
        raise _misfit(loaded, stack, layer, "values", error)
    query = heads_of(x[-1], heads.q, heads.b_q, heads.norm_q)
    key = heads_of(x, heads.k, heads.b_k, heads.norm_k).repeat_interleave(each, dim=1)
    turned = torch.stack([here.turned(each_key, place) for place, each_key in enumerate(key)])
    score = here.final(torch.einsum("he,khe->hk", here.turned(query, len(x) - 1), turned))
    if here.bias is not None:
        score = score + here.bias[:, here.furthest :].flip(-1)  # the first key is furthest
    error = _score_error(score, pattern[:, -1].float())
    if not error <= limit:
        raise _misfit(loaded, stack, layer, "queries and keys", error)


def _score_error(score: Tensor, weights: Tensor) -> float:
    """Distance of scores [head, key] from the logarithm of the weights, up to a constant."""
    seen = weights > _SEEN
    n = seen.sum(dim=1, keepdim=True).clamp_min(1)

    def centred(values: Tensor) -> Tensor:
        values = values.masked_fill(~seen, 0)
        return (values - values.sum(dim=1, keepdim=True) / n).masked_fill(~seen, 0)

    wanted = centred(weights.clamp_min(_SEEN).log())
    return float((centred(score) - wanted).norm() / wanted.norm().clamp_min(1e-2))


def _misfit(loaded: Loaded, stack: str, layer: int, what: str, error: float) -> Error:
    place = f"{stack}." if stack else ""
    return Error(
        f"{loaded.name}: the {what} of {place}L{layer} are not what the weights give as "
        f"{loaded.family} is known (relative difference {error:.2g}), so its heads cannot be read "
        "from the weights"
    )
