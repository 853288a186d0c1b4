"""ReLU with an L1 price on what latents write.

Bricken et al., "Towards Monosemanticity" (2023), with the price on value x decoder length of
Anthropic's April 2024 update.
"""

from torch import Tensor

from core.dictionaries.train.base import Losses, Priced, unexplained
from kernels.feature_topk import Activation


class ReLU(Priced):
    """max(pre, 0); every active unit of length costs."""

    def losses(self, x: Tensor, step: int) -> Losses:
        own = self.weights
        values = ((x - own["b_dec"]) @ own["readers"].T + own["b_enc"]).relu()
        rebuilt = values @ own["W_dec"] + own["b_dec"]
        cost = (values * own["W_dec"].norm(dim=-1)).sum(-1).mean() / x.shape[1] ** 0.5
        loss = unexplained(x, rebuilt) + self.price(step) * cost
        return self.seen(x, rebuilt, values.detach() > 0, loss, step)

    def activation(self) -> Activation:
        return Activation("relu")
