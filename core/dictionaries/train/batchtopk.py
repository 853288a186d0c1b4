"""BatchTopK: the k x B largest pre-activations of a batch of B tokens.

Bussmann, Leask and Nanda, "BatchTopK Sparse Autoencoders" (2024). Afterwards a latent fires above
one threshold: the running mean of the smallest value that was kept.
"""

import torch
from torch import Tensor

from core.dictionaries.train.picked import Picked
from core.dictionaries.train.recipe import Recipe
from core.dictionaries.train.topk import TopK
from kernels.feature_topk import Activation

KEPT = 0.999
MAX_BEGIN = 1_000


class BatchTopK(TopK):
    """k latents of a token on average."""

    def __init__(self, recipe: Recipe, mean: Tensor) -> None:
        super().__init__(recipe, mean)
        self.memory["threshold"] = torch.tensor(-1.0, device=mean.device)

    def picked(self, pre: Tensor) -> Picked:
        places = pre.flatten().topk(min(self.recipe.k * len(pre), pre.numel())).indices
        places = places.sort().values
        width = pre.shape[1]
        return Picked(places // width, places % width, *pre.shape)

    def noted(self, values: Tensor, step: int) -> None:
        if step < min(MAX_BEGIN, self.recipe.steps // 2) or not len(values):
            return
        least, held = values.min(), self.memory["threshold"]
        held.copy_(least if held < 0 else KEPT * held + (1 - KEPT) * least)

    def activation(self) -> Activation:
        threshold = self.memory["threshold"].clamp_min(0.0)
        return Activation("jumprelu", threshold=threshold.expand(self.recipe.n_features).clone())
