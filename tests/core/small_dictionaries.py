"""Small random dictionaries of every kind, fitted to a place of a tiny model."""

import copy
from dataclasses import replace
from typing import Any

import torch

from core.dictionaries.fit import width_at
from core.dictionaries.sparse import Norm, SparseDict
from core.models.loaded import Loaded
from core.spec.site import HEADS, Site, site
from kernels.feature_topk import Activation

N = 24  # features
KINDS = ("relu", "jumprelu", "topk", "groupmax", "gated")


def activation(kind: str, generator: torch.Generator, n: int = N) -> Activation:
    """A random activation of that kind."""
    drawn = torch.rand(3, n, generator=generator)
    if kind == "jumprelu":
        return Activation("jumprelu", threshold=drawn[0] * 0.2)
    if kind == "gated":
        return Activation("gated", r_mag=drawn[1] - 0.5, b_mag=drawn[2] * 0.2)
    return Activation(kind, k=4)  # type: ignore[arg-type]


def drawn(
    d_in: int,
    kind: str = "topk",
    *,
    at: str = "L1.resid_post",
    out: str = "",
    d_out: int = 0,
    seed: int = 0,
    n: int = N,
    **more: Any,
) -> SparseDict:
    """A random dictionary; decoder rows are of different lengths."""
    generator = torch.Generator().manual_seed(seed)
    d_out = d_out or d_in
    place = site(at)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    bias = random(d_out) * 0.1
    return SparseDict(
        name="small",
        site=place,
        out_site=site(out) if out else place,
        W_enc=random(d_in, n) / d_in**0.5,
        b_enc=random(n) * 0.1,
        W_dec=random(n, d_out) * (0.5 + torch.rand(n, 1, generator=generator)) / d_out**0.5,
        b_in=None if out else bias,
        b_out=bias,
        act=activation(kind, generator, n),
        heads=place.component in HEADS,
        **more,
    )


def at_place(loaded: Loaded, at: str, kind: str = "topk", **more: Any) -> SparseDict:
    """A random dictionary of a site of this model."""
    place = site(at)
    out = more.get("out", "")
    d_out = width_at(loaded, site(out)) if out else 0
    return drawn(width_at(loaded, place), kind, at=at, d_out=d_out, **more)


def holding(loaded: Loaded, *dictionaries: SparseDict) -> Loaded:
    """The same model with these on its shelf."""
    m = copy.copy(loaded)
    m.dictionaries = {each.name: each for each in dictionaries}
    return m


def feature(dictionary: SparseDict, unit: int, position: int | None = None) -> Site:
    """The site of one of its features."""
    return replace(dictionary.site, unit=unit, dictionary=dictionary.name, position=position)


NORMS = (Norm(), Norm("scale", 0.3), Norm("rms"), Norm("layernorm"), Norm("unit"))
