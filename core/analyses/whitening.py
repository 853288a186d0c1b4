"""Streaming covariance, whitening and the causal inner product.

The causal inner product <a, b> = a^T C^-1 b, C the covariance of the unembedding rows, makes
concepts that can be varied apart orthogonal (Park, Choe and Veitch 2023, "The Linear
Representation Hypothesis and the Geometry of Large Language Models").
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch

from core.analyses.whitening_kept import Spectrum, kept
from core.engine.frozen import logit_scale
from core.engine.readout import reads_directly
from core.models.loaded import Loaded, weight
from core.models.tokens import known_ids
from core.spec.errors import Error

FLOOR = 1e-6  # eigenvalues below this share of the largest are raised to it
ROWS = 8_192
SAMPLED = 512  # rows that tell one unembedding from another
THIN = 1e-3  # of the median length: rows that were never trained


class Moments:
    """Mean and covariance of rows that come in batches.

    Sums are taken around the mean of the first batch and added up in float64: the difference of
    E[xx^T] and mean mean^T in float32 loses every small eigenvalue (method of shifted data).
    """

    def __init__(self) -> None:
        self.n = 0
        self._shift: torch.Tensor | None = None
        self._first: torch.Tensor
        self._second: torch.Tensor

    def add(self, rows: torch.Tensor) -> None:
        """Rows [n, d] of any floating type."""
        if not len(rows):
            return
        rows = rows.double() if rows.device.type == "cpu" else rows.float()
        if self._shift is None:
            self._shift = rows.mean(dim=0)
            self._first = torch.zeros(rows.shape[1], dtype=torch.float64)
            self._second = torch.zeros(rows.shape[1], rows.shape[1], dtype=torch.float64)
        moved = rows - self._shift.to(rows)
        self._first += moved.sum(dim=0).double().cpu()
        self._second += (moved.T @ moved).double().cpu()
        self.n += len(rows)

    @property
    def mean(self) -> np.ndarray:
        """[d] float64."""
        found: np.ndarray = (self._known().double().cpu() + self._first / self.n).numpy()
        return found

    @property
    def covariance(self) -> np.ndarray:
        """[d, d] float64, divided by n."""
        self._known()
        first = self._first / self.n
        found: np.ndarray = (self._second / self.n - torch.outer(first, first)).numpy()
        return found

    def _known(self) -> torch.Tensor:
        if self._shift is None:
            raise Error("no rows to take a covariance of")
        return self._shift


@dataclass(frozen=True)
class Whitening:
    """Mean, spectrum and the two roots of a covariance.

    mean      [d] float64
    root      [d, d] C^(1/2)
    inverse   [d, d] C^(-1/2), eigenvalues raised to FLOOR x the largest
    spectrum  [d] eigenvalues before that, largest first
    floored   how many were raised
    n         rows it was taken from
    """

    mean: np.ndarray
    root: np.ndarray
    inverse: np.ndarray
    spectrum: np.ndarray
    floored: int
    n: int

    def white(self, rows: np.ndarray) -> np.ndarray:
        """g = (rows - mean) C^(-1/2), [n, d]."""
        found: np.ndarray = (np.asarray(rows, dtype=np.float64) - self.mean) @ self.inverse
        return found


def whitening(mean: np.ndarray, covariance: np.ndarray, n: int) -> Whitening:
    """Whitening from a mean [d] and a covariance [d, d]. Raises `Error` when nothing varies."""
    values, vectors = np.linalg.eigh(covariance)
    return _of_spectrum(mean, values, vectors, n)


def _of_spectrum(mean: np.ndarray, values: np.ndarray, vectors: np.ndarray, n: int) -> Whitening:
    """Whitening from the eigenvalues, smallest first, and eigenvectors of a covariance."""
    if not np.isfinite(values).all() or values[-1] <= 0:
        raise Error("the rows do not vary, so there is nothing to whiten")
    raised = np.maximum(values, FLOOR * values[-1])
    return Whitening(
        mean,
        (vectors * np.sqrt(raised)) @ vectors.T,
        (vectors / np.sqrt(raised)) @ vectors.T,
        values[::-1].copy(),
        int((values < FLOOR * values[-1]).sum()),
        n,
    )


@dataclass(frozen=True)
class Unembedding:
    """Rows of the unembedding that words belong to, in units of logits.

    rows    [d_vocab known to the tokenizer, d_model] float32: logits are rows @ state behind the
            final norm, up to a bias and a cap
    used    [row] bool: rows that were trained; the covariance is theirs
    white   their whitening
    """

    rows: torch.Tensor
    used: torch.Tensor
    white: Whitening

    def g(self, ids: Iterable[int]) -> np.ndarray:
        """Whitened rows [n, d_model] float64 of some token ids."""
        return self.white.white(self.rows[list(ids)].double().numpy())


def unembedding(loaded: Loaded, check: Callable[[], None] = lambda: None) -> Unembedding:
    """The unembedding and its whitening, once per model; of large ones the spectrum is on disk.

    Raises `Error` for a model whose predictions are not one matrix behind the final norm.
    """
    if "unembedding" not in loaded.memo:
        if not reads_directly(loaded) or loaded.row.head:
            raise Error(
                f"{loaded.name} has no plain unembedding, so its words have no vectors on the "
                "output side; ask about states instead"
            )
        matrix = weight(loaded.module.get_output_embeddings())  # type: ignore[operator]
        assert matrix is not None
        rows = matrix[: known_ids(loaded)].float().cpu() * logit_scale(loaded)
        length = torch.linalg.vector_norm(rows, dim=1)
        used = length >= THIN * length.median()
        spectrum = kept(
            _key(loaded, rows), rows.shape[1], len(rows), lambda: _spectrum(rows, used, check)
        )
        loaded.memo["unembedding"] = Unembedding(rows, used, _of_spectrum(*spectrum))
    found: Unembedding = loaded.memo["unembedding"]
    return found


def _key(loaded: Loaded, rows: torch.Tensor) -> str:
    """Of the weights in use: an edited copy has the fingerprint of the file it came from."""
    some = rows[:: max(1, len(rows) // SAMPLED)].contiguous().numpy().tobytes()
    return hashlib.sha256(loaded.fingerprint.encode() + some).hexdigest()


def _spectrum(rows: torch.Tensor, used: torch.Tensor, check: Callable[[], None]) -> Spectrum:
    moments = Moments()
    for some in torch.where(used)[0].split(ROWS):
        check()
        moments.add(rows[some])
    values, vectors = np.linalg.eigh(moments.covariance)
    return moments.mean, values, vectors, moments.n
