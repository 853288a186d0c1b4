"""What all architectures share: weights, the loss of a batch, the price of being active."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from core.dictionaries.train.recipe import Recipe
from kernels.feature_topk import Activation

PRICE_SHARE, PRICE_PACE = 0.05, 0.01  # first price x k; largest relative change of a step


@dataclass(frozen=True)
class Losses:
    """One batch: what is minimised, and what is shown."""

    loss: Tensor
    unexplained: Tensor  # share of the batch's variance, no gradient
    active: float  # mean latents that fire
    fired: Tensor  # [feature] bool


class Trainee(ABC):
    """A dictionary in training. Reads x [token, d] of mean length sqrt(d).

    `weights` are what the optimizer moves; `memory` is what else must survive a break.
    """

    def __init__(self, recipe: Recipe, mean: Tensor) -> None:
        self.recipe = recipe
        generator = torch.Generator().manual_seed(recipe.seed)
        rows = torch.randn(recipe.n_features, len(mean), generator=generator)
        rows = normalize(rows, dim=-1).to(mean.device)
        empty = torch.zeros(recipe.n_features, device=mean.device)
        self.weights: dict[str, Tensor] = {
            "readers": rows.clone(),  # columns of W_enc, [feature, d]
            "b_enc": empty.clone(),
            "W_dec": rows.clone(),
            "b_dec": mean.clone(),
        }
        self.memory: dict[str, Tensor] = {"silent": empty.clone()}

    @abstractmethod
    def losses(self, x: Tensor, step: int) -> Losses:
        """The loss of a batch [token, d] with gradients to the weights."""

    @abstractmethod
    def activation(self) -> Activation:
        """The nonlinearity of the trained dictionary, in units of the scaled activations."""

    def after(self, found: Losses) -> None:
        """What follows every step."""
        self.memory["silent"] += 1
        self.memory["silent"][found.fired] = 0

    def dead(self) -> Tensor:
        """Latents that have been silent for long, by number."""
        return (self.memory["silent"] >= self.recipe.dead_after).nonzero().flatten()


def unexplained(x: Tensor, rebuilt: Tensor) -> Tensor:
    """Squared error over the variance of the batch."""
    return (x - rebuilt).pow(2).sum() / (x - x.mean(0)).pow(2).sum().clamp_min(1e-30)


class Priced(Trainee):
    """Latents cost something: the price is given, or moves until `k` are active on average."""

    def __init__(self, recipe: Recipe, mean: Tensor) -> None:
        super().__init__(recipe, mean)
        first = recipe.sparsity or PRICE_SHARE / recipe.k
        self.memory["price"] = torch.tensor(first, device=mean.device)

    def price(self, step: int) -> Tensor:
        """The price now; it is raised from 0 over the first 5 % of the steps."""
        return self.memory["price"] * min(1.0, (step + 1) / max(1.0, 0.05 * self.recipe.steps))

    def after(self, found: Losses) -> None:
        super().after(found)
        if not self.recipe.sparsity:
            over = (found.active - self.recipe.k) / self.recipe.k
            self.memory["price"] *= 1 + PRICE_PACE * max(-1.0, min(1.0, over))

    def seen(self, x: Tensor, rebuilt: Tensor, active: Tensor, loss: Tensor) -> Losses:
        """`active` [token, feature] bool."""
        share = unexplained(x, rebuilt.detach())
        return Losses(loss, share, float(active.sum()) / len(x), active.any(0))
