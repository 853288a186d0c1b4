"""Products with the few latents that fire, with gradients, never [token, feature] in reverse.

Entries are (token, feature) pairs sorted by token. Every gradient is a sum over entries in a fixed
order, so that the same batch gives the same bits.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

ENTRIES = 16_000_000  # numbers gathered at once for the gradient of values


@dataclass(frozen=True)
class Picked:
    """Which latents take part: token, feature [entry] int64, sorted by token."""

    token: Tensor
    feature: Tensor
    n_tokens: int
    n_features: int

    def by_token(self, values: Tensor, table: Tensor) -> Tensor:
        """sum over a token's entries of value x table[feature], [token, width]."""
        return _bag(self.feature, table, self.token, values, self.n_tokens)

    def by_feature(self, values: Tensor, table: Tensor) -> Tensor:
        """sum over a feature's entries of value x table[token], [feature, width]."""
        order = torch.argsort(self.feature, stable=True)
        sums = (self.token[order], table, self.feature[order], values[order], self.n_features)
        return _bag(*sums)

    def products(self, by_token: Tensor, by_feature: Tensor) -> Tensor:
        """by_token[token] . by_feature[feature] of every entry."""
        size = max(1, ENTRIES // by_token.shape[1])
        parts = [
            (by_token[token] * by_feature[feature]).sum(-1)
            for token, feature in zip(self.token.split(size), self.feature.split(size), strict=True)
        ]
        return torch.cat(parts) if parts else by_token.new_zeros(0)


def _bag(index: Tensor, table: Tensor, group: Tensor, values: Tensor, n: int) -> Tensor:
    starts = torch.zeros(n, dtype=torch.int64, device=group.device)
    starts[1:] = torch.bincount(group, minlength=n)[:-1].cumsum(0)
    return embedding_bag(index, table, starts, mode="sum", per_sample_weights=values)


class _Read(torch.autograd.Function):
    """z[token] . readers[feature] + b_enc[feature], the values known already."""

    @staticmethod
    def forward(
        ctx: Any, z: Tensor, readers: Tensor, _: Tensor, values: Tensor, picked: Picked
    ) -> Tensor:
        ctx.save_for_backward(z, readers)
        ctx.picked = picked
        return values.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        z, readers = ctx.saved_tensors
        picked, g = ctx.picked, gradients[0]
        bias = g.new_zeros(picked.n_features).index_add_(0, picked.feature, g)
        return picked.by_token(g, readers), picked.by_feature(g, z), bias, None, None


class _Write(torch.autograd.Function):
    """sum over a token's entries of value x W_dec[feature]."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, W_dec: Tensor, picked: Picked) -> Tensor:
        ctx.save_for_backward(values, W_dec)
        ctx.picked = picked
        return picked.by_token(values, W_dec)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        values, W_dec = ctx.saved_tensors
        picked, g = ctx.picked, gradients[0].contiguous()
        return picked.products(g, W_dec), picked.by_feature(values, g), None


def read(z: Tensor, readers: Tensor, b_enc: Tensor, pre: Tensor, picked: Picked) -> Tensor:
    """Pre-activations of the entries, [entry]; `pre` holds all of them, without gradient."""
    found: Tensor = _Read.apply(z, readers, b_enc, pre[picked.token, picked.feature], picked)
    return found


def write(values: Tensor, W_dec: Tensor, picked: Picked) -> Tensor:
    """What the entries write, [token, width]."""
    found: Tensor = _Write.apply(values, W_dec, picked)
    return found
