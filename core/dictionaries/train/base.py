"""What all architectures share: weights, the loss of a batch, the price of being active."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import normalize

from core.dictionaries.train.recipe import Recipe
from kernels.feature_topk import Activation

REBIRTHS, LAST_BIRTH, READER_SHARE = 40, 0.7, 0.2
PRICE_SHARE, PRICE_PACE = 0.05, 0.01  # first price x k; largest relative change of a step


@dataclass(frozen=True)
class Losses:
    """One batch: what is minimised, and what is shown."""

    loss: Tensor
    unexplained: Tensor  # share of the batch's variance, no gradient
    active: float  # mean latents that fire
    fired: Tensor  # [feature] bool
    reborn: Tensor | None = None  # [n] latents that begin anew after this step
    rows: Tensor | None = None  # [n, d] where they begin


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
    """Latents cost something: the price is given, or moves until `k` are active on average.

    Those that have been silent for long begin anew where the reconstruction is bad, as in Bricken
    et al., "Towards Monosemanticity" (2023); here they begin along what is missing of a token.
    """

    def __init__(self, recipe: Recipe, mean: Tensor) -> None:
        super().__init__(recipe, mean)
        first = recipe.sparsity or PRICE_SHARE / recipe.k
        self.memory["price"] = torch.tensor(first, device=mean.device)

    @property
    def most_price(self) -> float:
        """Where the moving price stops."""
        return float("inf")

    def price(self, step: int) -> Tensor:
        """The price now; it is raised from 0 over the first 5 % of the steps."""
        return self.memory["price"] * min(1.0, (step + 1) / max(1.0, 0.05 * self.recipe.steps))

    def after(self, found: Losses) -> None:
        super().after(found)
        if not self.recipe.sparsity:
            over = (found.active - self.recipe.k) / self.recipe.k
            self.memory["price"] *= 1 + PRICE_PACE * max(-1.0, min(1.0, over))
            self.memory["price"].clamp_(max=self.most_price)
        if found.reborn is not None and found.rows is not None:
            self._begin_anew(found.reborn, found.rows)

    def seen(self, x: Tensor, rebuilt: Tensor, active: Tensor, loss: Tensor, step: int) -> Losses:
        """`active` [token, feature] bool."""
        error = x - rebuilt.detach()
        share = unexplained(x, rebuilt.detach())
        found = Losses(loss, share, float(active.sum()) / len(x), active.any(0))
        silent = self.dead() if self._due(step) else x.new_zeros(0)
        if not len(silent):
            return found
        rows = normalize(error[self._badly_told(error, len(silent), step)], dim=-1)
        return replace(found, reborn=silent[: len(rows)], rows=rows)

    def _due(self, step: int) -> bool:
        """Silent latents begin anew now and then, while there is time left to learn."""
        every = max(self.recipe.dead_after, self.recipe.steps // REBIRTHS)
        return step > 0 and step % every == 0 and step < LAST_BIRTH * self.recipe.steps

    def _badly_told(self, error: Tensor, n: int, step: int) -> Tensor:
        """Tokens drawn with the square of their loss, n of them or as many as have one."""
        weight = error.pow(2).sum(-1).pow(2).cpu()
        generator = torch.Generator().manual_seed(self.recipe.seed * 1_000_003 + step)
        n = min(n, int((weight > 0).sum()))
        places = torch.multinomial(weight, n, generator=generator) if n else weight[:0].long()
        return places.to(error.device)

    def _begin_anew(self, silent: Tensor, rows: Tensor) -> None:
        """Rows as given, readers a fifth as long as the others', all else as at the start."""
        own = self.weights
        alive = self.memory["silent"] < self.recipe.dead_after
        size = own["readers"][alive].norm(dim=-1).mean() if bool(alive.any()) else 1.0
        own["W_dec"].data[silent] = rows
        own["readers"].data[silent] = READER_SHARE * size * rows
        own["b_enc"].data[silent] = 0.0
        self.memory["silent"][silent] = 0
