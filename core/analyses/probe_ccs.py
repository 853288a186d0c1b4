"""Contrast-consistent search (Burns et al. 2022) and its companion, the loudest contrast."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

RESTARTS, STEPS, RATE, DECAY = 10, 600, 1e-2, 0.01
EVERY = 50  # steps between two looks at whether it shall stop


@dataclass(frozen=True)
class Ccs:
    """weight [d] and bias for normalised states, and the loss it ended at."""

    weight: Tensor
    bias: float
    loss: float

    def score(self, up: Tensor, down: Tensor) -> Tensor:
        """0.5 (p+ + 1 - p-) of normalised pairs [item, d], [item]."""
        high = torch.sigmoid(up @ self.weight + self.bias)
        low = torch.sigmoid(down @ self.weight + self.bias)
        return (high + 1 - low) / 2


def normalised(up: Tensor, down: Tensor, train: Tensor) -> tuple[Tensor, Tensor]:
    """Each half less its own mean over its own spread (of the training items), so that the ending
    itself says nothing. Channels that are constant stay 0."""
    found = []
    for half in (up.float(), down.float()):
        own = half[train]
        spread = own.std(dim=0, correction=0)
        found.append((half - own.mean(dim=0)) / torch.where(spread > 1e-6, spread, torch.ones(())))
    return found[0], found[1]


def consistency(high: Tensor, low: Tensor) -> Tensor:
    """mean[(p+ - (1 - p-))² + min(p+, p-)²] over items, axis 0."""
    return ((high - (1 - low)) ** 2 + torch.minimum(high, low) ** 2).mean(dim=0)


def ccs(up: Tensor, down: Tensor, seed: int, check: Callable[[], None] = lambda: None) -> Ccs:
    """The lowest loss of ten restarts, all trained side by side. up, down [item, d] normalised."""
    generator = torch.Generator().manual_seed(seed)
    d = up.shape[1]
    weight = torch.randn(d, RESTARTS, generator=generator) / d**0.5
    with torch.inference_mode(False), torch.enable_grad():
        up, down = up.clone(), down.clone()
        weight = weight.clone().requires_grad_()
        bias = torch.zeros(RESTARTS, requires_grad=True)
        steps = torch.optim.AdamW([weight, bias], lr=RATE, weight_decay=DECAY)
        for step in range(STEPS):
            if step % EVERY == 0:
                check()
            steps.zero_grad()
            loss = consistency(
                torch.sigmoid(up @ weight + bias), torch.sigmoid(down @ weight + bias)
            )
            loss.sum().backward()
            steps.step()
    best = int(loss.argmin())
    return Ccs(weight.detach()[:, best], float(bias.detach()[best]), float(loss.detach()[best]))


def loudest(up: Tensor, down: Tensor) -> Tensor:
    """First principal direction of the differences of pairs [item, d], centred, [d]."""
    apart = (up - down).double()
    apart = apart - apart.mean(dim=0)
    wide = apart.shape[1] > len(apart)
    _, vectors = torch.linalg.eigh(apart @ apart.T if wide else apart.T @ apart)
    return (apart.T @ vectors[:, -1] if wide else vectors[:, -1]).float()
