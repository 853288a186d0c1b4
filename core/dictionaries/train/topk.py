"""TopK with AuxK: the k largest pre-activations of each token.

Gao et al., "Scaling and evaluating sparse autoencoders" (2024).
"""

import torch
from torch import Tensor

from core.dictionaries.train.base import Losses, Trainee, unexplained
from core.dictionaries.train.picked import Picked, read, write
from kernels.feature_topk import Activation

AUXILIARY = 1 / 32


class TopK(Trainee):
    """Exactly k latents of a token, fewer where pre-activations are negative."""

    importance: tuple[float, ...] = (1.0,)  # of each reconstruction's error

    def losses(self, x: Tensor, step: int) -> Losses:
        own = self.weights
        z = x - own["b_dec"]
        with torch.no_grad():
            pre = z @ own["readers"].T + own["b_enc"]
            picked = self.picked(pre)
        values = read(z, own["readers"], own["b_enc"], pre, picked).relu()
        rebuilt = self.rebuilt(values, picked)
        error = x - rebuilt[-1].detach()
        errors = torch.stack([unexplained(x, one) for one in rebuilt])
        loss = errors @ x.new_tensor(self.importance) + AUXILIARY * self.revived(z, error)
        fires = values.detach() > 0
        self.noted(values.detach()[fires], step)
        fired = torch.zeros(self.recipe.n_features, dtype=torch.bool, device=x.device)
        fired[picked.feature[fires]] = True
        share = unexplained(x, rebuilt[-1].detach())
        return Losses(loss, share, float(fires.sum()) / len(x), fired)

    def picked(self, pre: Tensor) -> Picked:
        """The k largest of every token."""
        places = pre.topk(self.recipe.k, dim=-1).indices.sort(dim=-1).values
        tokens = torch.arange(len(pre), device=pre.device).repeat_interleave(self.recipe.k)
        return Picked(tokens, places.flatten(), *pre.shape)

    def rebuilt(self, values: Tensor, picked: Picked) -> list[Tensor]:
        """Reconstructions whose errors are added up, the whole one last."""
        return [write(values, self.weights["W_dec"], picked) + self.weights["b_dec"]]

    def noted(self, values: Tensor, step: int) -> None:
        """What fired in this batch, [entry]."""

    def revived(self, z: Tensor, error: Tensor) -> Tensor:
        """AuxK: what silent latents leave of the error, as a share of its variance.

        z and the error's origin are held: only the silent latents learn from this.
        """
        dead = self.dead()
        if not len(dead):
            return error.new_zeros(())
        own = self.weights
        before = z.detach() @ own["readers"][dead].T + own["b_enc"][dead]
        values, places = before.topk(min(max(1, z.shape[1] // 2), len(dead)), dim=-1)
        values = torch.zeros_like(before).scatter(-1, places, values.relu())
        return unexplained(error, values @ own["W_dec"][dead])

    def activation(self) -> Activation:
        return Activation("topk", k=self.recipe.k)
