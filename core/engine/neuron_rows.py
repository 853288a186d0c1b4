"""What every neuron reads and writes, as directions in the residual stream.

A neuron j of an MLP has up to three vectors: `in` (what its value is read with), `gate` (what
opens it, in gated MLPs) and `out` (what it adds to the stream). The norms next to them are
folded in, so the vectors of all families mean the same and can be compared.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from core.engine.readout import centres, norm_weight
from core.engine.writes import matrix, neuron_writes
from core.models.loaded import Block, Loaded
from core.spec.errors import Error
from core.spec.site import Site

WEIGHTS = ("out", "in", "gate")


def neuron_rows(
    loaded: Loaded, layer: int, weight: str, stack: str = ""
) -> Float[Tensor, "neuron d_model"]:
    """One vector of every neuron of a layer, [neuron, d_model] in float32.

    weight  "out": the output matrix times the weight of the post-MLP norm where there is one;
            "in", "gate": the input matrix times the weight of the norm in front of the MLP, and
            without its mean over d_model where that norm is a LayerNorm. So `stream @ rows.T`
            is the neuron's input up to the norm's own scale and a constant.
    Families whose MLP reads the stream as it is (OLMo 2, BERT) have no norm to fold. A factor
    on everything that joins the stream (Granite) is left out.

    Raises `Error` for experts, for a gate that the family does not have, for unknown names.
    """
    check_weight(loaded, layer, weight, stack)
    if weight == "out":
        return neuron_writes(loaded, layer, stack)
    block = loaded.stacks[stack].blocks[layer]
    rows = _input_matrix(block, weight).T
    norm = _norm_in_front(block)
    if norm is None:
        return rows
    rows = rows * norm_weight(loaded, norm)
    return rows - rows.mean(dim=1, keepdim=True) if centres(norm) else rows


def check_weight(loaded: Loaded, layer: int, weight: str, stack: str = "") -> None:
    """Raise `Error` with a sentence when this model's layer has no such vectors."""
    if weight not in WEIGHTS:
        raise Error(f"no weight {str(weight)[:20]!r} of a neuron; use {', '.join(WEIGHTS)}")
    if isinstance(layer, bool) or not isinstance(layer, int) or layer < 0:
        raise Error(f"a layer is a whole number from 0 on, got {str(layer)[:20]!r}")
    loaded.check(Site(layer, "neuron", stack=stack))
    if weight == "gate" and not has_gate(loaded, stack):
        raise Error(
            f"{loaded.name} has no gate: its MLP is one map in, a nonlinearity and one map out; "
            "use 'in' or 'out'"
        )


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


def _input_matrix(block: Block, weight: str) -> Float[Tensor, "d_model neuron"]:
    linear = block.up if weight == "in" else block.gate
    assert linear is not None
    values = matrix(linear)
    if block.up is not block.gate:
        return values
    gate, up = values.chunk(2, dim=1)  # one fused map, gate first (see Family.gate)
    return gate if weight == "gate" else up


def _norm_in_front(block: Block) -> nn.Module | None:
    """The norm between the stream and the MLP; where norms follow the sums there is none."""
    return None if block.norm_after else block.norm_mlp


def covariance_root(rows: Float[Tensor, "neuron d_model"]) -> Float[Tensor, "neuron d_model"]:
    """A matrix M with Mᵀ M = the covariance of the rows: M times Gaussian noise is the null."""
    return (rows - rows.mean(dim=0)) / max(1, len(rows) - 1) ** 0.5


def random_rows(
    rows: Float[Tensor, "neuron d_model"], n: int, seed: int
) -> Float[Tensor, "draw d_model"]:
    """n seeded Gaussian vectors with mean 0 and the covariance of the rows."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(n, len(rows), generator=generator)
    return noise.to(rows.device) @ covariance_root(rows)
