"""Dictionaries for tests: random ones at any site, and models that carry them."""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from core.dictionaries.sparse import SparseDict
from core.models.loaded import Loaded
from core.spec.site import Site, site
from kernels.feature_topk import Activation

RELU = Activation("relu")


def width(m: Loaded, place: Site) -> int:
    """Numbers a dictionary of this place reads."""
    if place.component == "head":
        return m.d_head * (m.n_heads if place.unit is None else 1)
    return m.d_mlp if place.component in ("neuron", "up", "gate") else m.d_model


def dictionary(
    m: Loaded,
    at: str = "L1.resid_post",
    *,
    n: int = 24,
    seed: int = 0,
    out: str = "",
    name: str = "made",
    **parts: Any,
) -> SparseDict:
    """A random ReLU dictionary of this model; `parts` replaces fields of it."""
    place, there = site(at), site(out or at)
    generator = torch.Generator().manual_seed(seed)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    d_in, d_out = width(m, place), width(m, there)
    fields: dict[str, Any] = {
        "W_enc": drawn(d_in, n) / d_in**0.5,
        "b_enc": 0.1 * drawn(n),
        "W_dec": drawn(n, d_out),
        "b_out": 0.1 * drawn(d_out),
        "act": RELU,
        "heads": place.component == "head" and place.unit is None,
    }
    return SparseDict(name=name, site=place, out_site=there, **{**fields, **parts})


def carrying(m: Loaded, *made: SparseDict) -> Loaded:
    """The same model with these dictionaries alone and a memory of its own."""
    other = copy.copy(m)
    other.dictionaries = {each.name: each for each in made}
    other.memo = {}
    return other


def reads(
    made: SparseDict,
    m: Loaded,
    feature: int,
    words: Sequence[str],
    texts: Sequence[str],
    values: Sequence[float] = (),
) -> None:
    """Let a feature of L0.resid_pre fire on the last token of some words, with value 1 or these,
    and on no other token of the texts."""
    rows = m.module.get_input_embeddings().weight.detach()
    ids = {t for text in texts for t in m.tokenizer(text, add_special_tokens=False)["input_ids"]}
    wanted = [m.tokenizer(w, add_special_tokens=False)["input_ids"][-1] for w in words]
    others = sorted(ids - set(wanted))
    x = torch.cat([rows[wanted], rows[others]]).double()
    high = torch.tensor(values) if values else torch.ones(len(wanted))
    y = torch.cat([high, -torch.ones(len(others))]).double()
    ones = torch.cat([x, torch.ones(len(x), 1)], 1)
    fit = torch.linalg.lstsq(ones, y).solution
    made.W_enc[:, feature], made.b_enc[feature] = fit[:-1].float(), fit[-1].float()
