"""Adam, written out: few lines, its whole state in three names, and no compiler to import.

Kingma and Ba, "Adam: A method for stochastic optimization" (2015). `torch.optim` gives the same
numbers but loads torch's compiler when first used, which costs seconds.
"""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

FIRST, SECOND, TINY = 0.9, 0.999, 1e-8


class Adam:
    """Moves tensors along their gradients."""

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        self.weights, self.step = dict(weights), 0
        self.mean = {name: torch.zeros_like(value) for name, value in weights.items()}
        self.square = {name: torch.zeros_like(value) for name, value in weights.items()}

    @torch.no_grad()
    def update(self, rate: float) -> None:
        """One step with the gradients there are."""
        self.step += 1
        bias_1, bias_2 = 1 - FIRST**self.step, 1 - SECOND**self.step
        for name, weight in self.weights.items():
            if weight.grad is None:
                continue
            mean, square = self.mean[name], self.square[name]
            mean.lerp_(weight.grad, 1 - FIRST)
            square.mul_(SECOND).addcmul_(weight.grad, weight.grad, value=1 - SECOND)
            weight.addcdiv_(mean, (square.sqrt() / bias_2**0.5).add_(TINY), value=-rate / bias_1)

    def forget(self, rows: Tensor, names: Iterable[str]) -> None:
        """Remember nothing of these rows of the tensors named."""
        for name in names:
            self.mean[name][rows] = 0.0
            self.square[name][rows] = 0.0


@torch.no_grad()
def clip(weights: Mapping[str, Tensor], largest: float) -> None:
    """Shorten all gradients together so that their length is at most `largest`."""
    gradients = [weight.grad for weight in weights.values() if weight.grad is not None]
    length = torch.stack([one.pow(2).sum() for one in gradients]).sum().sqrt()
    for one in gradients:
        one.mul_((largest / (length + 1e-6)).clamp_max(1.0))
