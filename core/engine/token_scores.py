"""Directions read as tokens: scores, their moments over the vocabulary, and what chance gives.

The score of a direction v for token t is `matrix[t] @ v`. Over the vocabulary the scores of v
have the mean `mean @ v` and the variance `v @ covariance @ v`, exactly; so z-scores need no
pass over all tokens.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from core.engine.neuron_rows import neuron_rows, random_rows
from core.engine.readout import reading_matrix
from core.models.loaded import Loaded
from core.models.loaded import weight as weight_of
from core.models.tokens import known_ids, pieces
from core.spec.errors import Error
from kernels.lens_topk import Powers, lens_topk

AGAINST = ("unembedding", "embedding")
QUANTILE = 0.99
MOST_DRAWS, LEAST_DRAWS = 2_000, 200
# Multiplications of one call to the kernel: about a second, so that cancelling stays quick.
STEP_CPU, STEP_GPU = 4e10, 2e13
TILE = 16_000_000  # scores held at once in a pass over the whole vocabulary
_ROWS_AT_ONCE = 8_192


@dataclass(frozen=True)
class Vocabulary:
    """The tokens directions are read as.

    matrix      [d_vocab, d_model] float32; rows from `n` on belong to no token
    mean        [d_model] mean of the first n rows; covariance [d_model, d_model] of them
    """

    matrix: Tensor
    n: int
    mean: Tensor
    covariance: Tensor

    @property
    def rows(self) -> Float[Tensor, "token d_model"]:
        return self.matrix[: self.n]


def vocabulary(loaded: Loaded, against: str = "unembedding", stack: str = "") -> Vocabulary:
    """What directions of a stack are read with; computed once per model.

    against  "unembedding": final norm and unembedding, what a direction says (no bias, no cap);
             "embedding": the input embedding, what a reading direction of an early layer meets

    Raises `Error` where the model has no such plain matrix.
    """
    if against not in AGAINST:
        raise Error(f"cannot read against {str(against)[:20]!r}; use {' or '.join(AGAINST)}")
    if stack and against == "unembedding":
        raise Error(
            f"the encoder of {loaded.name} does not speak through the unembedding; "
            "use against='embedding'"
        )
    key = ("vocabulary", against)
    if key not in loaded.memo:
        matrix = reading_matrix(loaded) if against == "unembedding" else _embedding(loaded)
        if matrix.shape[1] != loaded.d_model:
            raise Error(
                f"the {against} of {loaded.name} is {matrix.shape[1]} wide and its stream "
                f"{loaded.d_model}: directions cannot be read as tokens there"
            )
        n = min(known_ids(loaded), len(matrix))
        loaded.memo[key] = Vocabulary(matrix, n, *_moments(matrix[:n]))
    found: Vocabulary = loaded.memo[key]
    return found


def _embedding(loaded: Loaded) -> Float[Tensor, "d_vocab d_model"]:
    module = loaded.module.get_input_embeddings()  # type: ignore[operator]
    matrix = weight_of(module)
    assert matrix is not None
    return matrix


def _moments(rows: Float[Tensor, "token d_model"]) -> tuple[Tensor, Tensor]:
    """Mean [d_model] and covariance [d_model, d_model] over tokens, summed in float64."""
    mean = torch.stack([part.double().sum(0) for part in rows.split(_ROWS_AT_ONCE)]).sum(0)
    mean = (mean / len(rows)).float()
    total = torch.zeros(rows.shape[1], rows.shape[1], dtype=torch.float64, device=rows.device)
    for part in rows.split(_ROWS_AT_ONCE):
        centred = part - mean
        total += centred.T @ centred
    return mean, (total / len(rows)).float()


def moments(words: Vocabulary, rows: Float[Tensor, "direction d_model"]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation [direction] of each direction's scores over all tokens."""
    variance = ((rows @ words.covariance) * rows).sum(dim=1)
    return rows @ words.mean, variance.clamp_min(0).sqrt().clamp_min(1e-12)


def row_moments(
    loaded: Loaded, layer: int, weight: str, against: str = "unembedding", stack: str = ""
) -> tuple[Tensor, Tensor]:
    """`moments` of every neuron of a layer, [neuron] each; computed once per model."""
    key = ("row_moments", against, stack, layer, weight)
    if key not in loaded.memo:
        rows = neuron_rows(loaded, layer, weight, stack)
        loaded.memo[key] = moments(vocabulary(loaded, against, stack), rows)
    found: tuple[Tensor, Tensor] = loaded.memo[key]
    return found


@dataclass(frozen=True)
class Ends:
    """The highest and lowest scores of some directions, most extreme first.

    top, bottom [direction, k] raw scores, their ids [direction, k] int64; mean and deviation
    [direction] of all scores of a direction, for z-scores; their excess kurtosis where asked for.
    """

    top: Tensor
    top_ids: Tensor
    bottom: Tensor
    bottom_ids: Tensor
    mean: Tensor
    deviation: Tensor
    kurtosis: Tensor | None = None

    @property
    def top_z(self) -> Float[Tensor, "direction k"]:
        return (self.top - self.mean[:, None]) / self.deviation[:, None]

    @property
    def bottom_z(self) -> Float[Tensor, "direction k"]:
        return (self.bottom - self.mean[:, None]) / self.deviation[:, None]

    @property
    def largest_z(self) -> Float[Tensor, " direction"]:
        """The larger |z| of the two ends."""
        return torch.maximum(self.top_z[:, 0], -self.bottom_z[:, 0])


def decoded(
    words: Vocabulary,
    rows: Float[Tensor, "direction d_model"],
    k: int,
    check: Callable[[], None] = lambda: None,
    *,
    peaked: bool = False,
) -> Ends:
    """The k highest and lowest tokens of each direction, in pieces of about a second.

    peaked: excess kurtosis too, which costs a few percent more.
    """
    step = max(1, int(_work(words) / words.matrix.numel()))
    mean, deviation = moments(words, rows)
    powers = Powers(mean, mean.new_zeros(3, len(rows), dtype=torch.float64)) if peaked else None
    parts = []
    for at in range(0, max(1, len(rows)), step):
        check()
        part = slice(at, at + step)
        parts.append(lens_topk(rows[part], words.matrix, k, words.n, powers and powers.of(part)))
    top, top_ids, bottom, bottom_ids = (torch.cat(each) for each in zip(*parts, strict=True))
    sharp = None
    if powers is not None:
        sharp = (powers.sums[2] / words.n / deviation.double().pow(4) - 3).float()
    return Ends(top, top_ids, bottom, bottom_ids, mean, deviation, sharp)


def check_k(loaded: Loaded, words: Vocabulary, k: int) -> None:
    """Raise `Error` when there are not as many tokens as asked for."""
    if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= words.n:
        raise Error(
            f"k is {str(k)[:20]}, but {loaded.name} has {words.n:,} tokens; "
            f"take a whole number from 1 to {words.n:,}"
        )


def affordable_draws(words: Vocabulary) -> int:
    """Random vectors for a null that is computed while somebody waits: 200 to 2,000."""
    return int(min(MOST_DRAWS, max(LEAST_DRAWS, _work(words) / 10 // words.matrix.numel())))


def _work(words: Vocabulary) -> float:
    return STEP_CPU if words.matrix.device.type == "cpu" else STEP_GPU


def null_z(
    loaded: Loaded,
    layer: int,
    weight: str,
    draws: int,
    against: str = "unembedding",
    stack: str = "",
    check: Callable[[], None] = lambda: None,
) -> float:
    """99th percentile of the largest |z| over all tokens of random vectors, once per model.

    Gaussian vectors with the covariance of the layer's own rows, seeded: how far a direction
    without a meaning sticks out.
    """
    key = ("null_z", against, stack, layer, weight, draws)
    if key not in loaded.memo:
        words = vocabulary(loaded, against, stack)
        rows = random_rows(neuron_rows(loaded, layer, weight, stack), draws, seed=layer)
        largest = decoded(words, rows, 1, check).largest_z
        loaded.memo[key] = float(torch.quantile(largest, QUANTILE))
    found: float = loaded.memo[key]
    return found


def log_sums(
    words: Vocabulary,
    rows: Float[Tensor, "direction d_model"],
    check: Callable[[], None] = lambda: None,
) -> tuple[Tensor, Tensor]:
    """Log-sum-exp over all tokens of the scores, and of minus the scores, [direction] each."""
    parts = []
    for part in _tiles(words, rows):
        check()
        scores = part @ words.rows.T
        parts.append((scores.logsumexp(dim=1), (-scores).logsumexp(dim=1)))
    high, low = (torch.cat(each) for each in zip(*parts, strict=True))
    return high, low


def kurtosis(
    words: Vocabulary,
    rows: Float[Tensor, "direction d_model"],
    check: Callable[[], None] = lambda: None,
) -> Float[Tensor, " direction"]:
    """Excess kurtosis of the scores over all tokens: 0 for a normal distribution, large where
    few tokens stick out."""
    found = decoded(words, rows, 1, check, peaked=True).kurtosis
    assert found is not None
    return found


def _tiles(words: Vocabulary, rows: Tensor) -> tuple[Tensor, ...]:
    return rows.split(max(1, TILE // words.n))


def piece_table(loaded: Loaded, *ids: Tensor) -> tuple[np.ndarray, tuple[str, ...]]:
    """(sorted ids, readable piece of each) of all token ids that occur in an answer."""
    found = np.unique(np.concatenate([part.cpu().numpy().ravel() for part in ids]))
    return found, pieces(loaded, found.tolist())
