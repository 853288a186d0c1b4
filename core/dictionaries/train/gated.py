"""Gated: whether a latent fires and how strongly are decided apart.

Rajamanoharan et al., "Improving Dictionary Learning with Gated Sparse Autoencoders" (2024): the
price is on the gate alone, and an auxiliary reconstruction through the gate with the decoder held
teaches it.
"""

import torch
from torch import Tensor

from core.dictionaries.train.base import Losses, Priced, unexplained
from core.dictionaries.train.recipe import Recipe
from kernels.feature_topk import Activation


class Gated(Priced):
    """`b_enc` is the gate's bias."""

    def __init__(self, recipe: Recipe, mean: Tensor) -> None:
        super().__init__(recipe, mean)
        empty = torch.zeros(recipe.n_features, device=mean.device)
        self.weights |= {"r_mag": empty.clone(), "b_mag": empty.clone()}

    def losses(self, x: Tensor, step: int) -> Losses:
        own = self.weights
        free = (x - own["b_dec"]) @ own["readers"].T
        gate = free + own["b_enc"]
        size = (free * own["r_mag"].exp() + own["b_mag"]).relu()
        values = torch.where(gate > 0, size, 0.0)
        rebuilt = values @ own["W_dec"] + own["b_dec"]
        opened = gate.relu()
        cost = (opened * own["W_dec"].norm(dim=-1)).sum(-1).mean() / x.shape[1] ** 0.5
        through_gate = opened @ own["W_dec"].detach() + own["b_dec"].detach()
        loss = unexplained(x, rebuilt) + unexplained(x, through_gate) + self.price(step) * cost
        return self.seen(x, rebuilt, values.detach() > 0, loss, step)

    def after(self, found: Losses) -> None:
        super().after(found)
        if found.reborn is not None:
            self.weights["r_mag"].data[found.reborn] = 0.0
            self.weights["b_mag"].data[found.reborn] = 0.0

    def activation(self) -> Activation:
        own = self.weights
        return Activation("gated", r_mag=own["r_mag"].detach(), b_mag=own["b_mag"].detach())
