"""Read directions through an unembedding: the k highest and lowest tokens of each."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from kernels.dispatch import implementation
from kernels.lens_topk.moments import Powers

__all__ = ["Powers", "lens_topk"]

Values = Float[Tensor, "direction k"]
Ids = Int64[Tensor, "direction k"]


def lens_topk(
    directions: Float[Tensor, "direction d_model"],
    unembedding: Float[Tensor, "d_vocab d_model"],
    k: int,
    n_tokens: int = 0,
    powers: Powers | None = None,
) -> tuple[Values, Ids, Values, Ids]:
    """Top-k and bottom-k tokens per direction without holding [direction, d_vocab].

    directions   [direction, d_model]
    unembedding  [d_vocab, d_model]   final norm folded in by the caller
    n_tokens     rows of the unembedding that are words; the rest is padding (0: all are)
    powers       where sums of powers of all scores of a direction are added to; what the mean and
                 the covariance of the unembedding do not tell is skew and kurtosis
    returns      top values, top ids, bottom values, bottom ids, each [direction, k], most
                 extreme first, values in float32, ids int64; ties go to the lower id.

    Scores are products summed in float32, also of half-precision numbers. ValueError where k is
    larger than the vocabulary, and where a score among the extremes is not a finite number.
    """
    if not 0 <= n_tokens <= len(unembedding):
        raise ValueError(f"the unembedding has {len(unembedding)} rows, {n_tokens} were asked for")
    words = unembedding[: n_tokens or len(unembedding)]
    if not 1 <= k <= len(words):
        raise ValueError(f"k must lie between 1 and {len(words)}, got {k}")
    run, _ = implementation("lens_topk", directions.device.type)
    with torch.no_grad():
        found: tuple[Values, Ids, Values, Ids] = run(directions, words, k, powers)
        _refuse_what_is_not_finite(found[0], found[2])
    return found


def _refuse_what_is_not_finite(top: Tensor, bottom: Tensor) -> None:
    """A score that is infinite or not a number is always among the extremes."""
    bad = ~(top.isfinite() & bottom.isfinite()).all(1)
    if bool(bad.any()):
        row = int(bad.nonzero()[0, 0])
        raise ValueError(
            f"the scores of direction {row} are not all finite numbers: it or the unembedding "
            "holds infinite or missing values"
        )
