"""A dictionary as a notebook sees it: numpy in, numpy out."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from core.dictionaries.sparse import About, SparseDict
from core.models import memory
from core.models.header import shown
from core.spec.errors import Error
from core.spec.site import Site


@dataclass(frozen=True, repr=False)
class Dictionary:
    """A sparse dictionary; `inner` holds the tensors.

    Activations are in the dictionary's own units; times `.lengths` they are what a feature writes.
    """

    inner: SparseDict

    @property
    def n_features(self) -> int:
        return self.inner.n_features

    @property
    def d_in(self) -> int:
        """Numbers it reads; heads lie side by side."""
        return self.inner.d_in

    @property
    def d_out(self) -> int:
        return self.inner.d_out

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def site(self) -> Site:
        """Where it reads; `str(d.site)` is a site text."""
        return self.inner.site

    @property
    def out_site(self) -> Site:
        """Where it writes: elsewhere than `site` in a transcoder."""
        return self.inner.out_site

    @property
    def about(self) -> About:
        """Format, origin, fingerprint, and what was assumed on reading."""
        return self.inner.about

    @property
    def lengths(self) -> np.ndarray:
        """Length of every decoder row, [feature] float32."""
        return self.inner.lengths.cpu().numpy()

    def __repr__(self) -> str:
        return repr(self.inner)

    def encode(self, x: Any) -> np.ndarray:
        """Activations [n, n_features] float32 of x [n, d_in], or of heads [n, head, d_head]."""
        with torch.no_grad():
            return self.inner.encode(self._given(x)).cpu().numpy()

    def decode(self, f: Any, x: Any = None) -> np.ndarray:
        """What activations f [n, n_features] write, [n, d_out] float32.

        `x`, what was encoded, is needed where each token is normalised by itself, and for a skip
        connection; without it both are left out.
        """
        with torch.no_grad():
            codes = self._matrix(f, self.n_features, "activations")
            normed = None if x is None else self.inner.normed(self._given(x))
            if normed is not None and len(normed.x) != len(codes):
                raise Error(f"f has {len(codes):,} rows and x {len(normed.x):,}")
            return self.inner.decode(codes, normed).cpu().numpy()

    def _given(self, x: Any) -> torch.Tensor:
        array = np.asarray(x)
        if self.inner.heads and array.ndim == 3:
            array = array.reshape(len(array), -1)
        found = self._matrix(array, self.d_in, f"values of {self.site}")
        needed = 4 * len(found) * self.n_features
        if needed > memory.available("cpu"):
            raise Error(f"the activations need {needed / 1e9:.1f} GB; encode fewer rows at a time")
        return found

    def _matrix(self, x: Any, width: int, what: str) -> torch.Tensor:
        try:
            array = np.asarray(x, dtype=np.float32)
        except (TypeError, ValueError):
            raise Error(f"{what} should be numbers, not {shown(type(x).__name__)}") from None
        if array.ndim != 2 or array.shape[1] != width:
            raise Error(f"{what} should be [n, {width}], got {list(array.shape)}")
        if not np.isfinite(array).all():
            raise Error(f"{what} hold a value that is infinite or not a number")
        return torch.tensor(array, device=self.inner.W_enc.device)
