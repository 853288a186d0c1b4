"""Read directions through an unembedding: the k highest and lowest tokens of each."""

from jaxtyping import Float, Int64
from torch import Tensor

from kernels.dispatch import implementation

Values = Float[Tensor, "direction k"]
Ids = Int64[Tensor, "direction k"]


def lens_topk(
    directions: Float[Tensor, "direction d_model"],
    unembedding: Float[Tensor, "d_vocab d_model"],
    k: int,
    n_tokens: int = 0,
) -> tuple[Values, Ids, Values, Ids]:
    """Top-k and bottom-k tokens per direction without holding [direction, d_vocab].

    directions   [direction, d_model]
    unembedding  [d_vocab, d_model]   final norm folded in by the caller
    n_tokens     rows of the unembedding that are words; the rest is padding (0: all are)
    returns      top values, top ids, bottom values, bottom ids, each [direction, k], most
                 extreme first, values in float32, ids int64; ties go to the lower id.
    """
    run, _ = implementation("lens_topk", directions.device.type)
    result: tuple[Values, Ids, Values, Ids] = run(directions, unembedding, k, n_tokens)
    return result
