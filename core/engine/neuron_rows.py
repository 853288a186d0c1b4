"""What every neuron reads and writes, as directions in the residual stream.

A neuron j of an MLP has up to three vectors: `in` (what its value is read with), `gate` (what
opens it, in gated MLPs) and `out` (what it adds to the stream). The norms next to them are
folded in, so the vectors of all families mean the same and can be compared.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from core.engine.readout import centres, norm_weight
from core.engine.writes import matrix
from core.models.loaded import Block, Loaded
from core.spec.errors import Error
from core.spec.site import Site

WEIGHTS = ("out", "in", "gate")


def neuron_rows(
    loaded: Loaded,
    layer: int,
    weight: str,
    stack: str = "",
    units: Sequence[int] | None = None,
) -> Float[Tensor, "neuron d_model"]:
    """One vector of every neuron of a layer, [neuron, d_model] in float32.

    weight  "out": the output matrix times the weight of the post-MLP norm where there is one;
            "in", "gate": the input matrix times the weight of the norm in front of the MLP, and
            without its mean over d_model where that norm is a LayerNorm. So `stream @ rows.T`
            is the neuron's input up to the norm's own scale and a constant.
    units   these neurons only, in this order

    Families whose MLP reads the stream as it is (OLMo 2, BERT) have no norm to fold. A factor
    on everything that joins the stream (Granite) is left out.

    Raises `Error` for experts, for a gate that the family does not have, for unknown names.
    """
    check_weight(loaded, layer, weight, stack)
    block = loaded.stacks[stack].blocks[layer]
    rows = _plain_rows(block, weight)
    if units is not None:
        rows = rows[list(units)]
    norm = block.post_mlp if weight == "out" else _norm_in_front(block)
    if norm is None:
        return rows
    rows = rows * norm_weight(loaded, norm)
    return rows - rows.mean(dim=1, keepdim=True) if weight != "out" and centres(norm) else rows


def check_weight(loaded: Loaded, layer: int, weight: str, stack: str = "") -> None:
    """Raise `Error` with a sentence when this model's layer has no such vectors."""
    if weight not in WEIGHTS:
        raise Error(f"no weight {str(weight)[:20]!r} of a neuron; use {', '.join(WEIGHTS)}")
    check_whole(layer, "layer")
    loaded.check(Site(layer, "neuron", stack=stack))
    if weight == "gate" and not has_gate(loaded, stack):
        raise Error(
            f"{loaded.name} has no gate: its MLP is one map in, a nonlinearity and one map out; "
            "use 'in' or 'out'"
        )


def check_whole(value: object, what: str) -> None:
    """Raise `Error` unless the value is a whole number from 0 on."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise Error(f"a {what} is a whole number from 0 on, got {str(value)[:20]!r}")


def has_gate(loaded: Loaded, stack: str = "") -> bool:
    """Whether the MLP multiplies an activated gate with what it reads."""
    return loaded.stacks[stack].blocks[0].gate is not None


def weights_of(loaded: Loaded, stack: str = "") -> tuple[str, ...]:
    """The vectors that the neurons of this model have: with a gate three, without two."""
    check_weight(loaded, 0, "out", stack)
    return WEIGHTS if has_gate(loaded, stack) else WEIGHTS[:2]


def n_layers(loaded: Loaded, stack: str = "") -> int:
    """Layers of one stack. Raises `Error` for a stack or for neurons the model does not have."""
    check_weight(loaded, 0, "out", stack)
    return len(loaded.stacks[stack].blocks)


def write_lengths(loaded: Loaded, layer: int, stack: str = "") -> Float[Tensor, " neuron"]:
    """Length of every neuron's `out` vector, [neuron]; computed once per layer."""
    key = ("write_lengths", stack, layer)
    if key not in loaded.memo:
        rows = neuron_rows(loaded, layer, "out", stack)
        loaded.memo[key] = torch.linalg.vector_norm(rows, dim=1)
    lengths: Tensor = loaded.memo[key]
    return lengths


def random_rows(
    rows: Float[Tensor, "neuron d_model"], n: int, seed: int
) -> Float[Tensor, "draw d_model"]:
    """n seeded Gaussian vectors with mean 0 and the covariance of the rows."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(n, len(rows), generator=generator).to(rows.device)
    return noise @ (rows - rows.mean(dim=0)) / max(1, len(rows) - 1) ** 0.5


def _plain_rows(block: Block, weight: str) -> Float[Tensor, "neuron d_model"]:
    linear = {"out": block.neurons, "in": block.up, "gate": block.gate}[weight]
    assert linear is not None
    if weight == "out":
        return matrix(linear)
    rows = matrix(linear).T
    if block.up is not block.gate:
        return rows
    gate, up = rows.chunk(2)  # one fused map, gate first (see Family.gate)
    return gate if weight == "gate" else up


def _norm_in_front(block: Block) -> nn.Module | None:
    """The norm between the stream and the MLP; where norms follow the sums there is none."""
    return None if block.norm_after else block.norm_mlp
