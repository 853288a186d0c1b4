"""JumpReLU: a learned threshold for every latent, and a price on how many fire.

Rajamanoharan et al., "Jumping Ahead: Improving Reconstruction Fidelity with JumpReLU Sparse
Autoencoders" (2024). A step has no slope, so its expectation's is estimated with a rectangle.
"""

from typing import Any

import torch
from torch import Tensor

from core.dictionaries.train.base import Losses, Priced, unexplained
from core.dictionaries.train.recipe import Recipe
from kernels.feature_topk import Activation

# Least first threshold, and width of the rectangle, for x of length sqrt(d), in which products are
# about 1. A rectangle of 0.05, as in the paper's units, sees few tokens, so thresholds hardly move.
FIRST, WIDTH = 0.1, 2.0


def begin(recipe: Recipe) -> float:
    """The threshold that k latents exceed at the start, when products are about Gaussian."""
    share = min(0.5, recipe.k / recipe.n_features)
    return max(FIRST, float(torch.special.ndtri(torch.tensor(1 - share))))


def _near(pre: Tensor, threshold: Tensor) -> Tensor:
    return ((pre - threshold).abs() < WIDTH / 2).to(pre)


class _Jump(torch.autograd.Function):
    """pre where pre > threshold, else 0."""

    @staticmethod
    def forward(ctx: Any, pre: Tensor, threshold: Tensor) -> Tensor:
        ctx.save_for_backward(pre, threshold)
        return torch.where(pre > threshold, pre, 0.0)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        pre, threshold = ctx.saved_tensors
        g = gradients[0]
        slope = -(threshold / WIDTH) * (_near(pre, threshold) * g).sum(0)
        return g * (pre > threshold), slope


class _Fires(torch.autograd.Function):
    """1 where pre > threshold, else 0."""

    @staticmethod
    def forward(ctx: Any, pre: Tensor, threshold: Tensor) -> Tensor:
        ctx.save_for_backward(pre, threshold)
        return (pre > threshold).to(pre)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        pre, threshold = ctx.saved_tensors
        return None, -(_near(pre, threshold) * gradients[0]).sum(0) / WIDTH


class JumpReLU(Priced):
    """max(pre, 0) where pre > threshold."""

    def __init__(self, recipe: Recipe, mean: Tensor) -> None:
        super().__init__(recipe, mean)
        self.weights["threshold"] = torch.full(
            (recipe.n_features,), begin(recipe), device=mean.device
        )

    @property
    def most_price(self) -> float:
        """k active latents cost the whole variance; a higher price would have to come down again
        before thresholds do."""
        return 1 / self.recipe.k

    def losses(self, x: Tensor, step: int) -> Losses:
        own = self.weights
        pre = (x - own["b_dec"]) @ own["readers"].T + own["b_enc"]
        values: Tensor = _Jump.apply(pre, own["threshold"])
        fires: Tensor = _Fires.apply(pre, own["threshold"])
        rebuilt = values @ own["W_dec"] + own["b_dec"]
        loss = unexplained(x, rebuilt) + self.price(step) * fires.sum(-1).mean()
        return self.seen(x, rebuilt, fires.detach() > 0, loss, step)

    def after(self, found: Losses) -> None:
        super().after(found)
        if found.reborn is not None:
            self.weights["threshold"].data[found.reborn] = FIRST
        self.weights["threshold"].data.clamp_(min=0.0)

    def activation(self) -> Activation:
        return Activation("jumprelu", threshold=self.weights["threshold"].detach())
