"""A codebook without changing the model: unit codes and k steps of matching pursuit.

Residual k-means: in every round each token takes, one after another, the code nearest in angle to
what is left of it; then a code becomes the direction of all that was left where it was taken. The
codebooks of Tamkin, Taufeeque and Goodman (2023) are trained together with the model and stand in
the place of its stream; these describe the stream as it is.
"""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import normalize

BLOCK = 16_000_000  # scores held at once
TINY = 1e-12


class Codes:
    """Codes [code, d] of length one in the making, of values x [token, d] whose mean is gone."""

    def __init__(self, x: Tensor, n_codes: int, k: int, seed: int) -> None:
        """Begins at tokens of the data, as k-means does."""
        self.x, self.k = x, k
        self.generator = torch.Generator().manual_seed(seed)
        some = torch.randperm(len(x), generator=self.generator)[:n_codes].to(x.device)
        self.codes = normalize(x[some], dim=-1)
        self.unused = 0

    def round(self) -> float:
        """One round of all tokens; the share of the length squared that codes left."""
        sums = torch.zeros_like(self.codes)
        worst, rest = [], 0.0
        for part in self.x.split(max(1, BLOCK // len(self.codes))):
            left = part
            for place, value, before in self._taken(part):
                sums.index_add_(0, place, value[:, None] * before)
                left = before - value[:, None] * self.codes[place]
            rest += float(left.double().pow(2).sum())
            worst.append(left)
        self._move(sums, torch.cat(worst))
        return rest / max(float(self.x.double().pow(2).sum()), 1e-30)

    def _taken(self, left: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """(code, its value, what was left before) [token], k times."""
        for _ in range(self.k):
            value, place = (left @ self.codes.T).max(1)
            value = value.relu()
            yield place, value, left
            left = left - value[:, None] * self.codes[place]

    def _move(self, sums: Tensor, left: Tensor) -> None:
        """Codes to what they were taken for; one that nobody took to what is left of a token."""
        size = sums.norm(dim=-1)
        unused = (size < TINY).nonzero().flatten()
        self.unused = len(unused)
        moved = sums / size.clamp_min(TINY)[:, None]
        if len(unused):
            weight = left.pow(2).sum(-1).cpu()
            n = min(len(unused), int((weight > 0).sum()))
            places = torch.multinomial(weight, n, generator=self.generator) if n else weight[:0]
            moved[unused] = self.codes[unused]
            moved[unused[:n]] = normalize(left[places.long().to(left.device)], dim=-1)
        self.codes = moved
