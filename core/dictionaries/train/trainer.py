"""One dictionary in training: the optimizer, the schedule, stopping and going on, the result."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from core.dictionaries.sparse import About, SparseDict
from core.dictionaries.train.adam import Adam, clip
from core.dictionaries.train.base import Losses, Trainee
from core.dictionaries.train.batchtopk import BatchTopK
from core.dictionaries.train.gated import Gated
from core.dictionaries.train.jumprelu import JumpReLU
from core.dictionaries.train.matryoshka import Matryoshka
from core.dictionaries.train.recipe import Recipe
from core.dictionaries.train.relu import ReLU
from core.dictionaries.train.topk import TopK
from core.spec.site import Site
from kernels.feature_topk import Activation

TRAINEES: dict[str, type[Trainee]] = {
    "topk": TopK,
    "batchtopk": BatchTopK,
    "matryoshka": Matryoshka,
    "jumprelu": JumpReLU,
    "gated": Gated,
    "relu": ReLU,
}
LARGEST_GRADIENT = 1.0


class Trainer:
    """Adam on a trainee; decoder rows keep length one.

    On a CPU the same recipe, mean and batches give the same bits, also after `resume`.
    """

    def __init__(self, recipe: Recipe, mean: Tensor) -> None:
        """mean [d] of the scaled activations, where the decoder's bias begins."""
        self.recipe, self.step = recipe, 0
        self.trainee = TRAINEES[recipe.architecture](recipe, mean.float())
        for weight in self.trainee.weights.values():
            weight.requires_grad_()
        self.adam = Adam(self.trainee.weights)

    @torch.enable_grad()
    def update(self, x: Tensor) -> Losses:
        """One step on activations [token, d] of mean length sqrt(d)."""
        weights = self.trainee.weights
        for weight in weights.values():
            weight.grad = None
        found = self.trainee.losses(x, self.step)
        found.loss.backward()
        with torch.no_grad():
            rows = weights["W_dec"]
            assert rows.grad is not None
            rows.grad -= (rows.grad * rows).sum(-1, keepdim=True) * rows
            clip(weights, LARGEST_GRADIENT)
            self.adam.update(self.recipe.rate_at(self.step))
            rows /= rows.norm(dim=-1, keepdim=True).clamp_min(1e-12)
            self.trainee.after(found)
            if found.reborn is not None:
                self.adam.forget(found.reborn, weights.keys() - {"b_dec"})
        self.step += 1
        return replace(found, loss=found.loss.detach())

    @property
    def dead(self) -> int:
        return len(self.trainee.dead())

    def tensors(self) -> dict[str, Tensor]:
        """All that `resume` needs, on the CPU."""
        found: dict[str, Tensor] = {"step": torch.tensor(self.step)}
        for kind, tensors in self._kept().items():
            found |= {f"{kind}/{name}": value for name, value in tensors.items()}
        return {name: value.detach().cpu().clone().contiguous() for name, value in found.items()}

    @torch.no_grad()
    def resume(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on where `tensors` was taken. Raises `ValueError` for those of another recipe."""
        for kind, own in self._kept().items():
            for name, value in own.items():
                stored = tensors.get(f"{kind}/{name}")
                if stored is None or stored.shape != value.shape:
                    raise ValueError("a checkpoint of another recipe")
                value.copy_(stored)
        self.step = self.adam.step = int(tensors["step"])

    def _kept(self) -> dict[str, dict[str, Tensor]]:
        return {
            "weights": self.trainee.weights,
            "memory": self.trainee.memory,
            "mean": self.adam.mean,
            "square": self.adam.square,
        }

    @torch.no_grad()
    def dictionary(self, site: Site, name: str, scale: float = 1.0, **about: Any) -> SparseDict:
        """The dictionary of raw activations, `scale` being what they were multiplied by.

        All six activations commute with a positive factor, so the scale goes into the biases and
        thresholds alone: decoder rows keep length one, activations are in units of the stream.
        """
        own = {key: value.detach().clone() for key, value in self.trainee.weights.items()}
        act = self.trainee.activation()
        return SparseDict(
            name=name,
            site=site.whole(),
            out_site=site.whole(),
            W_enc=own["readers"].T.contiguous(),
            b_enc=own["b_enc"] / scale,
            W_dec=own["W_dec"],
            b_in=own["b_dec"] / scale,
            b_out=own["b_dec"] / scale,
            act=_unscaled(act, scale),
            heads=site.component in ("head", "cross_head"),
            about=About(architecture=self.recipe.architecture, **about),
        )


def _unscaled(act: Activation, scale: float) -> Activation:
    threshold = None if act.threshold is None else act.threshold / scale
    b_mag = None if act.b_mag is None else act.b_mag / scale
    return replace(act, threshold=threshold, b_mag=b_mag)
