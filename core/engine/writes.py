"""What heads and neurons write: their output matrices, whichever way a family stores them."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from core.engine.readout import norm_weight
from core.models.loaded import Loaded, weight
from core.spec.site import HEADS, Site


def matrix(linear: nn.Module) -> Float[Tensor, "input output"]:
    """[in, out] in float32."""
    value = weight(linear)
    if value is None:
        raise TypeError(f"{type(linear).__name__} has no weight")
    # nn.Linear stores [out, in]; GPT-2's Conv1D stores [in, out].
    return value.T if isinstance(linear, nn.Linear) else value


def write_matrix(loaded: Loaded, site: Site) -> Float[Tensor, "*unit d_model"]:
    """What the units at a head or neuron site write, before any post-norm.

    Heads: [head, d_head, d_model]. Neurons: [neuron, d_model].
    """
    block = loaded.block(site)
    if site.component in HEADS:
        linear = block.heads if site.component == "head" else block.cross_heads
        assert linear is not None
        return matrix(linear).reshape(loaded.n_heads, loaded.d_head, loaded.d_model)
    assert block.neurons is not None
    return matrix(block.neurons)


def neuron_writes(loaded: Loaded, layer: int, stack: str = "") -> Float[Tensor, "neuron d_model"]:
    """What each neuron of a layer adds to the stream, [neuron, d_model] in float32.

    The output matrix times the weight of the post-MLP norm where the family has one.
    """
    site = Site(layer, "neuron", stack=stack)
    loaded.check(site)
    write = write_matrix(loaded, site)
    norm = loaded.block(site).post_mlp
    return write if norm is None else write * norm_weight(loaded, norm)


def write_norms(loaded: Loaded, site: Site) -> Float[Tensor, " neuron"]:
    """Length of what each neuron of the layer writes per unit of activation, [neuron]."""
    key = ("write_norms", site.stack, site.layer)
    if key not in loaded.memo:
        loaded.memo[key] = torch.linalg.vector_norm(write_matrix(loaded, site), dim=-1)
    norms: Tensor = loaded.memo[key]
    return norms
