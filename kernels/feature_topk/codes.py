"""What a dictionary finds in some tokens: only the latents that fire, and how strongly."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Codes:
    """Sparse activations [token, feature] as triples: by token, by falling value, by feature.

    start   [token + 1] int64   the entries of token t are start[t]:start[t + 1]
    feature [entry]     int32
    value   [entry]     float32, above zero (a code of a codebook: 1)
    """

    start: Tensor
    feature: Tensor
    value: Tensor
    n_features: int

    @property
    def n_tokens(self) -> int:
        return len(self.start) - 1

    @property
    def token(self) -> Tensor:
        """The token of every entry, int64 [entry]."""
        counts = self.start.diff()
        return torch.repeat_interleave(torch.arange(self.n_tokens, device=counts.device), counts)

    def dense(self) -> Tensor:
        """[token, feature] float32, for few tokens."""
        full = torch.zeros(self.n_tokens, self.n_features, device=self.value.device)
        full[self.token, self.feature.long()] = self.value
        return full


def codes(token: Tensor, feature: Tensor, value: Tensor, n_tokens: int, n_features: int) -> Codes:
    """Codes from triples in any order; zero and negative values are left out."""
    live = value > 0
    token, feature, value = token[live].long(), feature[live].long(), value[live].float()
    order = torch.argsort(feature, stable=True)
    order = order[torch.argsort(value[order], descending=True, stable=True)]
    order = order[torch.argsort(token[order], stable=True)]
    start = torch.zeros(n_tokens + 1, dtype=torch.int64, device=token.device)
    start[1:] = torch.bincount(token, minlength=n_tokens).cumsum(0)
    return Codes(start, feature[order].int(), value[order], n_features)


def from_dense(values: Tensor) -> Codes:
    """Codes of activations [token, feature]."""
    token, feature = (values > 0).nonzero(as_tuple=True)
    return codes(token, feature, values[token, feature], *values.shape)


def joined(parts: Sequence[Codes], n_features: int, device: torch.device) -> Codes:
    """The codes of several groups of tokens, one behind the other."""
    if len(parts) == 1:
        return parts[0]
    start = [torch.zeros(1, dtype=torch.int64, device=device)]
    end = 0
    for part in parts:
        start.append(part.start[1:] + end)
        end += len(part.value)
    none = torch.zeros(0, device=device)
    feature = [none.int(), *(part.feature for part in parts)]
    value = [none, *(part.value for part in parts)]
    return Codes(torch.cat(start), torch.cat(feature), torch.cat(value), n_features)
