"""Data whose dictionary is known: a few of some atoms, each of random size, added up."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from core.dictionaries.sparse import SparseDict
from core.dictionaries.train.recipe import Recipe
from core.dictionaries.train.trainer import Trainer
from core.spec.site import Site

SITE = Site(0, "resid_post")


@dataclass(frozen=True)
class Atoms:
    """`n` unit atoms in `d` dimensions, active with probability active / n, size 0.5 to 1.5."""

    d: int = 32
    n: int = 64
    active: float = 3.0
    seed: int = 0

    @property
    def rows(self) -> Tensor:
        generator = torch.Generator().manual_seed(1_000 + self.seed)
        return normalize(torch.randn(self.n, self.d, generator=generator), dim=-1)

    def batch(self, tokens: int, number: int) -> Tensor:
        """[token, d]; another one for every number."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + number)
        on = torch.rand(tokens, self.n, generator=generator) < self.active / self.n
        return (on * (torch.rand(tokens, self.n, generator=generator) + 0.5)) @ self.rows

    def found(self, dictionary: SparseDict) -> Tensor:
        """Cosine of every atom with the nearest decoder row, [atom]."""
        return (self.rows @ normalize(dictionary.W_dec, dim=-1).T).max(dim=1).values


def scale_of(atoms: Atoms) -> float:
    """What makes the mean length sqrt(d)."""
    return float(atoms.d**0.5 / atoms.batch(4_096, 10**6).norm(dim=-1).mean())


def begun(atoms: Atoms, recipe: Recipe) -> Trainer:
    """A trainer that has seen nothing yet."""
    return Trainer(recipe, atoms.batch(4_096, 10**6).mean(0) * scale_of(atoms))


def trained(atoms: Atoms, recipe: Recipe) -> SparseDict:
    """The dictionary of raw data, trained to the end of the recipe."""
    trainer, scale = begun(atoms, recipe), scale_of(atoms)
    for step in range(recipe.steps):
        trainer.update(atoms.batch(recipe.batch, step) * scale)
    return trainer.dictionary(SITE, "planted", scale)


def unexplained(dictionary: SparseDict, x: Tensor) -> float:
    error = x - dictionary.reconstructed(x)
    return float(error.pow(2).sum() / (x - x.mean(0)).pow(2).sum())
