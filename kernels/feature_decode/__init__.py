"""What sparse activations write: the sum of the rows that fire, never a dense product."""

from jaxtyping import Float
from torch import Tensor

from kernels.dispatch import implementation
from kernels.feature_topk.codes import Codes

__all__ = ["decode"]


def decode(codes: Codes, weight: Float[Tensor, "feature d_out"]) -> Float[Tensor, "token d_out"]:
    """[token, d_out] in the dtype of the weight: sum over the entries of value x row."""
    run, _ = implementation("feature_decode", weight.device.type)
    written: Tensor = run(codes, weight)
    return written
