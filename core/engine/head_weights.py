"""What every head reads and writes: its four matrices, with the norms beside them folded in.

With the stream divided by the norm's own scale (`scaled`), x, the rows of the family table say

    query = x @ q[head] + b_q[head]      key, value the same with the head's key-value head
    output of the head = (pattern-weighted sum of values) @ o[head]

in front of norms of queries and keys and of any rotation ("A Mathematical Framework for
Transformer Circuits", folding as in TransformerLens). `core.engine.head_probe` proves it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from core.engine.neuron_rows import check_whole
from core.engine.readout import centres, norm_weight
from core.engine.writes import matrix
from core.models.loaded import Block, Loaded, find, weight
from core.spec.errors import Error
from core.spec.site import Site


@dataclass(frozen=True)
class HeadWeights:
    """The matrices of a layer's heads in float32, norms folded in.

    q [head, d_model, d_head]; k, v [kv_head, d_model, d_head]; b_q [head, d_head]; b_k, b_v
    [kv_head, d_head]; o [head, d_head, d_model]; b_o [d_model], which no head owns. Biases are 0
    where the family has none. norm_q, norm_k: norms of queries and keys, which cannot be folded:
    with them a score is no longer bilinear in the stream.
    """

    q: Tensor
    k: Tensor
    v: Tensor
    b_q: Tensor
    b_k: Tensor
    b_v: Tensor
    o: Tensor
    b_o: Tensor
    norm_q: nn.Module | None
    norm_k: nn.Module | None

    @property
    def n_heads(self) -> int:
        return self.q.shape[0]

    def kv(self, head: int) -> int:
        """The key-value head that a query head looks with: neighbours share one."""
        return head * self.k.shape[0] // self.n_heads

    def ov(self, head: int) -> tuple[Tensor, Tensor]:
        """(v [d_model, d_head], o [d_head, d_model]): what the head does with a token it sees."""
        return self.v[self.kv(head)], self.o[head]

    def qk(self, head: int) -> tuple[Tensor, Tensor]:
        """(q [d_model, d_head], k [d_model, d_head]): what decides where the head looks."""
        return self.q[head], self.k[self.kv(head)]

    def constant(self, head: int) -> Float[Tensor, " d_model"]:
        """What the head writes whatever it looks at, since its weights add up to one."""
        return self.b_v[self.kv(head)] @ self.o[head]


def check_head(loaded: Loaded, layer: int, head: int | None = None, stack: str = "") -> None:
    """Raise `Error` with a sentence when the model has no such layer or head."""
    check_whole(layer, "layer")
    if head is not None:
        check_whole(head, "head")
    loaded.check(Site(layer, "head", head, stack=stack))


def unproved(loaded: Loaded, layer: int, stack: str = "") -> HeadWeights:
    """The matrices as the family's row says; see `core.engine.head_probe.head_weights`.

    Raises `Error` where the maps are not where the row says.
    """
    check_head(loaded, layer, stack=stack)
    family, block = loaded.stacks[stack].family, loaded.stacks[stack].blocks[layer]
    whole = [find(block.whole, f"{path}|") for path in (family.queries, family.keys, family.values)]
    if any(each is None for each in whole):
        raise Error(
            f"{loaded.name}: it is not known where {loaded.family} keeps its queries, keys and "
            "values, so its heads cannot be read from the weights"
        )
    stored = _split(loaded, whole, family.fused)  # type: ignore[arg-type]
    norm = None if block.norm_after else block.norm_attn
    (q, b_q), (k, b_k), (v, b_v) = (_fold_in(loaded, norm, *each) for each in stored)
    o, b_o = _written(loaded, block)
    return HeadWeights(
        *(q, k, v),
        *(b_q, b_k, b_v),
        *(o, b_o),
        norm_q=find(block.whole, f"{family.norm_queries}|"),
        norm_k=find(block.whole, f"{family.norm_keys}|"),
    )


def scaled(
    loaded: Loaded, layer: int, stream: Float[Tensor, "*places d_model"], stack: str = ""
) -> Float[Tensor, "*places d_model"]:
    """Stream states divided by what the norm in front of the attention divides them by."""
    block = loaded.stacks[stack].blocks[layer]
    norm = None if block.norm_after else block.norm_attn
    if norm is None:
        return stream.float()
    like = next(iter(norm.parameters()), stream)
    made = norm(stream.to(like)).float()
    bias = weight(norm, "bias")
    made = made if bias is None else made - bias
    stream = stream.float()
    plain = stream - stream.mean(-1, keepdim=True) if centres(norm) else stream
    own = torch.linalg.vector_norm(plain * norm_weight(loaded, norm), dim=-1, keepdim=True)
    return stream * torch.linalg.vector_norm(made, dim=-1, keepdim=True) / own.clamp_min(1e-30)


def heads_of(
    x: Float[Tensor, "*places d_model"],
    maps: Float[Tensor, "head d_model d_head"],
    biases: Float[Tensor, "head d_head"],
    norm: nn.Module | None = None,
) -> Float[Tensor, "*places head d_head"]:
    """Queries, keys or values of all heads, as attention receives them but for the rotation."""
    made = torch.einsum("...d,hde->...he", x, maps) + biases
    if norm is None:
        return made
    like = made.to(next(iter(norm.parameters()), made))
    # One norm for each head, or one over all heads side by side (OLMo 2): told by its width.
    own = getattr(norm, "weight", None)
    whole = own is not None and own.ndim == 1 and own.shape[0] != made.shape[-1]
    answer = norm(like.flatten(-2)).reshape(made.shape) if whole else norm(like)
    result: Tensor = answer.float()
    return result


def content(loaded: Loaded, heads: HeadWeights, head: int) -> tuple[Tensor, Tensor]:
    """(q, k) of a head [d_model, d_head] with the weights of norms on queries and keys folded in.

    What those norms divide by is left out, so products of the two are right up to a factor.
    """
    query, key = heads.qk(head)
    query = _behind(loaded, query, heads.norm_q, head)
    return query, _behind(loaded, key, heads.norm_k, heads.kv(head))


def _behind(loaded: Loaded, maps: Tensor, norm: nn.Module | None, head: int) -> Tensor:
    """A map [d_model, d_head] times the weight of the norm behind it, centred where that is."""
    gain = None if norm is None else weight(norm)
    if norm is None or gain is None:
        return maps
    with torch.no_grad():
        flat = norm(torch.ones_like(gain, dtype=next(norm.parameters()).dtype)[None]).float()
    bias = weight(norm, "bias")
    if float((flat if bias is None else flat - bias).abs().max()) < 1e-2:
        maps = maps - maps.mean(dim=1, keepdim=True)
    by_head = (gain + loaded.row.norm_offset).reshape(-1, maps.shape[1])
    return maps * by_head[head % len(by_head)]


_Map = tuple[Tensor, Tensor]  # a map and its bias


def _split(loaded: Loaded, maps: list[nn.Module], fused: str) -> list[_Map]:
    """Queries, keys and values of a layer, head by head, as they are stored."""
    heads, size = loaded.n_heads, loaded.d_head
    plain = [_plain(each) for each in maps]
    if maps[0] is maps[1] is maps[2]:
        groups = (len(plain[0][0]) // size - heads) // 2  # one key and one value each
        widths = (heads * size, groups * size, groups * size)
        _check_widths(loaded, widths, len(plain[0][0]))
        cut = _grouped(plain[0], heads, groups) if fused == "groups" else _cut(plain[0], widths)
        return [_by_head(*each, size) for each in cut]
    _check_widths(loaded, tuple(len(rows) for rows, _ in plain))
    return [_by_head(*each, size) for each in plain]


def _check_widths(loaded: Loaded, widths: tuple[int, ...], total: int = 0) -> None:
    """Raise `Error` unless the maps hold all query heads, and as many keys as values for them."""
    query, key, value = widths
    heads, size = loaded.n_heads, loaded.d_head
    whole = query == heads * size and key == value and key % size == 0 and 0 < key <= query
    if not whole or query % key or (total and total != sum(widths)):
        raise Error(
            f"{loaded.name}: the maps of its attention do not hold {heads} heads of {size} as "
            f"{loaded.family} is known, so its heads cannot be read from the weights"
        )


def _cut(whole: _Map, widths: tuple[int, ...]) -> Iterator[_Map]:
    """All queries, then all keys, then all values."""
    return zip(*(part.split(list(widths)) for part in whole), strict=True)


def _grouped(whole: _Map, heads: int, groups: int) -> list[_Map]:
    """The queries that share a key, that key, its value, and so on."""
    rows, bias = (part.reshape(groups, heads // groups + 2, -1, *part.shape[1:]) for part in whole)
    places = (slice(0, -2), slice(-2, -1), slice(-1, None))
    return [(rows[:, at].flatten(0, 2), bias[:, at].flatten()) for at in places]


def _plain(linear: nn.Module) -> tuple[Tensor, Tensor]:
    """Rows [output, d_model] and bias [output] of a map, 0 where it has none."""
    rows, bias = matrix(linear).T, weight(linear, "bias")
    return rows, rows.new_zeros(len(rows)) if bias is None else bias


def _by_head(rows: Tensor, bias: Tensor, size: int) -> _Map:
    heads = len(rows) // size
    return rows.reshape(heads, size, -1).transpose(1, 2), bias.reshape(heads, size)


def _fold_in(loaded: Loaded, norm: nn.Module | None, maps: Tensor, bias: Tensor) -> _Map:
    """The norm's weight on the reading side, its bias in the map's, its centring in the map."""
    if norm is None:
        return maps, bias
    shift = weight(norm, "bias")
    if shift is not None:
        bias = bias + torch.einsum("d,hde->he", shift, maps)
    maps = maps * norm_weight(loaded, norm)[:, None]
    return (maps - maps.mean(dim=1, keepdim=True) if centres(norm) else maps), bias


def _written(loaded: Loaded, block: Block) -> tuple[Tensor, Tensor]:
    """o [head, d_head, d_model] and b_o [d_model], times the weight of a norm behind them."""
    rows, bias = matrix(block.heads), weight(block.heads, "bias")
    o = rows.reshape(loaded.n_heads, loaded.d_head, loaded.d_model)
    b_o = rows.new_zeros(loaded.d_model) if bias is None else bias
    if block.post_attn is None:
        return o, b_o
    gain = norm_weight(loaded, block.post_attn)
    if centres(block.post_attn):
        o, b_o = o - o.mean(dim=-1, keepdim=True), b_o - b_o.mean()
    return o * gain, b_o * gain
