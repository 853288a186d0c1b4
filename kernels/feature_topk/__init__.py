"""Encode tokens into the latents of a sparse dictionary, without [token, feature].

After Gao et al., "Scaling and evaluating sparse autoencoders" (2024), whose kernels keep the
chosen latents only.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from kernels.dispatch import implementation
from kernels.feature_topk.activation import COMPETING, Activation
from kernels.feature_topk.codes import Codes, codes, from_dense

__all__ = ["COMPETING", "Activation", "Codes", "codes", "encode", "from_dense"]


def encode(
    x: Float[Tensor, "token d_in"],
    weight: Float[Tensor, "d_in feature"],
    bias: Float[Tensor, " feature"],
    activation: Activation,
    lengths: Float[Tensor, " feature"] | None = None,
) -> Codes:
    """The activations that are above zero, summed in float32 also of half-precision numbers.

    x        [token, d_in]    already normalised, its input bias subtracted
    weight   [d_in, feature]
    lengths  [feature]        pre-activations are multiplied by these before the selection (some
                              dictionaries select by what a latent writes); values come out
                              multiplied too
    returns  entries by token, falling value and latent; among equals the lower latent is
             taken. A token that is not a number has no entries
    """
    run, _ = implementation("feature_topk", x.device.type)
    with torch.no_grad():
        found: Codes = run(x, weight, bias, activation, lengths)
    return found
