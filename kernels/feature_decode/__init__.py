"""What sparse activations write: the sum of the rows that fire, never a dense product."""

import torch
from jaxtyping import Float
from torch import Tensor

from kernels.dispatch import implementation
from kernels.feature_topk.codes import Codes

__all__ = ["decode"]


def decode(codes: Codes, weight: Float[Tensor, "feature d_out"]) -> Float[Tensor, "token d_out"]:
    """[token, d_out] float32: the sum over a token's entries of value x row, in float32.

    weight [feature, d_out] of any precision. A token without entries is zero. No gradient.
    ValueError where the codes are of another number of features.
    """
    if len(weight) != codes.n_features:
        raise ValueError(f"the codes have {codes.n_features:,} features, not {len(weight):,}")
    run, _ = implementation("feature_decode", weight.device.type)
    with torch.no_grad():
        written: Tensor = run(codes, weight)
    return written
