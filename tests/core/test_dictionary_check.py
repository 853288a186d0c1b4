"""The self-check finds the convention under which data was made, whichever flag is wrong."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from core import api
from core.analyses import dictionary_check as module
from core.analyses.dictionary_check import Seen
from core.dictionaries.reading import changed, reading
from core.dictionaries.sparse import About, Norm, SparseDict
from core.figures.table import caption, figure
from core.figures.theme import Look, colour
from core.models.loaded import Loaded
from core.spec.errors import Error
from core.spec.site import Site, site
from kernels.feature_topk import Activation
from tests.core.small_dictionaries import at_place, holding

D, F, K, N = 36, 24, 3, 600
LONG = 2.5  # how long tokens are, over sqrt(D), where nothing is normalised
POST = site("L1.resid_post")


def basis() -> Tensor:
    """Orthonormal rows [D, D], the first one all equal: the rest has no mean over D."""
    generator = torch.Generator().manual_seed(3)
    columns = torch.cat([torch.ones(D, 1), torch.randn(D, D - 1, generator=generator)], dim=1)
    return torch.linalg.qr(columns)[0].T


def made(kind: str = "topk", **more: Any) -> SparseDict:
    """A dictionary that finds the atoms a token was made of: its rows are orthonormal."""
    size = 1.0 if more.get("norm", Norm()).kind != "none" else LONG
    rows = basis()[1 : F + 1]
    bias = size * basis()[F + 2] + size * 2.6 * rows[:3].sum(0)
    threshold = torch.full((F,), size)
    act = Activation("topk", k=K) if kind == "topk" else Activation("jumprelu", threshold=threshold)
    return SparseDict(
        name="made",
        site=POST,
        out_site=POST,
        W_enc=rows.T.contiguous(),
        b_enc=torch.zeros(F),
        W_dec=rows,
        b_in=bias,
        b_out=bias,
        act=act,
        about=About(declared_l0=float(K)),
        **more,
    )


def tokens(book: SparseDict) -> Tensor:
    """K atoms each, as the model would hold them before the book's conventions are applied.

    On the encoder's side every token has the length sqrt(D), the rest along a row of no atom.
    """
    size = 1.0 if book.norm.kind != "none" else LONG
    generator = torch.Generator().manual_seed(4)
    codes = torch.zeros(N, F)
    chosen = torch.rand(N, F, generator=generator).topk(K, dim=1).indices
    codes.scatter_(1, chosen, 1.5 + torch.rand(N, K, generator=generator))
    u = size * codes @ book.W_dec + book.b_out
    rest = (size**2 * D - u.square().sum(1)).clamp_min(0).sqrt()
    x = u + rest[:, None] * basis()[F + 3]
    if book.norm.kind == "scale":
        x = x / book.norm.scale
    if book.norm.kind == "rms":
        x = x * (0.3 + 3 * torch.rand(N, 1, generator=generator))
    if book.center:
        x = x + 4 * torch.randn(N, 1, generator=generator)
    return x


Asked = Callable[..., Any]


@pytest.fixture
def ask(llama: Loaded, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """`ask(book, values)`: the check of a book on values that stand at its site."""

    def run(book: SparseDict, values: dict[Site, Tensor]) -> Any:
        def read(*_: Any) -> Seen:
            places = {site(f"L1.{name}"): torch.randn(N, D) for name in ("resid_pre", "resid_post")}
            return Seen(places | values, torch.arange(N) % 2, 10, 0)

        monkeypatch.setattr(module, "_read", read)
        return api.run("dictionary_check", holding(llama, book), dictionary="made", n_tokens=N)

    return run


# what is true, what the files say, what the check should say
WRONG: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("topk", {}, {"subtract": False}, "bias subtracted"),
    ("jumprelu", {}, {"subtract": False}, "bias subtracted"),
    ("topk", {"b_in": None}, {"subtract": True}, "bias not subtracted"),
    ("topk", {"center": True}, {"center": False}, "stream centred"),
    ("topk", {"norm": Norm("rms")}, {"norm": "none"}, "norm rms"),
    ("jumprelu", {"norm": Norm("scale", 0.1)}, {"norm": "none"}, "norm scale"),
    ("jumprelu", {"norm": Norm("rms")}, {"norm": "unit"}, "norm rms"),
    ("jumprelu", {}, {"scale": 0.2}, "norm none"),
    ("topk", {}, {"site": "L1.resid_pre"}, "at L1.resid_post"),
    (
        "jumprelu",
        {"norm": Norm("rms")},
        {"subtract": False, "norm": "none"},
        "bias subtracted, norm rms",
    ),
]


@pytest.mark.parametrize(("kind", "true", "wrong", "row"), WRONG, ids=lambda value: str(value)[:40])
def test_one_wrong_flag_is_found(
    kind: str, true: dict[str, Any], wrong: dict[str, Any], row: str, ask: Asked
) -> None:
    book = made(kind, **{k: v for k, v in true.items() if k != "b_in"})
    if "b_in" in true:  # nothing is subtracted; the encoder's own bias does it
        book = replace(book, b_in=None, b_enc=-book.b_out @ book.W_enc)
    x = tokens(book)
    declared = changed(book, reading(**{k: v for k, v in wrong.items() if k != "site"}))
    if "site" in wrong:
        declared = replace(declared, site=site(wrong["site"]), out_site=site(wrong["site"]))
    right, found = ask(book, {POST: x}), ask(declared, {POST: x})
    assert right.better == -1, right.to_frame()
    assert right.fvu[0] < 0.25  # what lies along the row of no atom
    assert found.rows[found.fvu.argmin()] == row, found.to_frame()
    assert found.rows[found.better] == row
    assert row in found.sentence
    said = found.readings[found.better]
    again = changed(declared, reading(**{k: v for k, v in said.items() if k != "site"}))
    assert again.norm.kind == book.norm.kind
    assert again.norm.scale == pytest.approx(book.norm.scale, rel=0.1)
    assert (again.b_in is None, again.center) == (book.b_in is None, book.center)


def test_an_l0_far_from_the_declared_one_is_a_warning(ask: Asked) -> None:
    book = made("jumprelu")
    x = tokens(book)
    assert ask(book, {POST: x}).warnings == ()
    far = replace(book, about=replace(book.about, declared_l0=82.0))
    assert ask(far, {POST: x}).warnings == (
        f"L0 is {ask(book, {POST: x}).l0[0]:.1f} on this text, 82.0 is declared",
    )


def test_a_low_fvu_that_many_features_buy_is_no_better_reading(ask: Asked) -> None:
    fvu, halves = np.array([0.5, 0.1]), np.array([[0.5, 0.5], [0.1, 0.1]])
    assert module._better(fvu, halves, np.array([10.0, 10.0]), 10.0) == 1
    assert module._better(fvu, halves, np.array([10.0, 90.0]), 10.0) == -1
    assert module._better(fvu, np.array([[0.5, 0.5], [0.0, 0.6]]), np.ones(2), 0.0) == -1
    same = np.array([0.5, 0.51])
    assert module._better(same, halves * 0 + 0.5, np.array([90.0, 9.0]), 10.0) == 1


def test_a_dictionary_of_another_model_fits_no_way(ask: Asked) -> None:
    other = LONG * torch.randn(N, D, generator=torch.Generator().manual_seed(9))
    far = replace(made("jumprelu"), b_out=made().b_out * 9)
    assert "No reading fits" in ask(far, {POST: other}).sentence


def test_the_shipped_dictionary_is_read_as_it_was_trained_and_a_wrong_flag_is_found() -> None:
    m = api.load("embedded")
    found = api.run("dictionary_check", m, dictionary="topk-L2", n_tokens=600)
    assert found.better == -1
    assert found.fvu[0] < 0.2
    assert (found.n_tokens, found.l0[0], found.declared_l0) == (600, 16.0, 16.0)
    book = m.dictionaries["topk-L2"]
    wrong = holding(m, replace(book, name="wrong", b_in=None))
    found = api.run("dictionary_check", wrong, dictionary="wrong", n_tokens=600)
    assert found.rows[found.better] == "bias subtracted"
    assert found.readings[found.better] == {"subtract": True}


def test_a_transcoder_is_tried_in_front_of_the_norm_too(llama: Loaded) -> None:
    book = at_place(llama, "L1.mlp_in", "relu", out="L1.mlp_out")
    found = api.run("dictionary_check", holding(llama, book), dictionary="small", n_tokens=300)
    assert {"at L1.resid_mid", "at L1.resid_mid, norm rms"} <= set(found.rows)
    assert not any("bias" in row for row in found.rows)


@pytest.mark.parametrize("family", ["gpt_neox", "gemma2", "mixtral", "bert", "t5"])
def test_every_kind_of_model_can_be_checked(family: str, tiny: Callable[[str], Path]) -> None:
    m = api.load(tiny(family), device="cpu")
    stack = "enc." if m.prompt_stack else ""
    for at in ("resid_post", "mlp_in", "head"):
        book = at_place(m, f"{stack}L1.{at}")
        found = api.run("dictionary_check", holding(m, book), dictionary="small", n_tokens=300)
        assert found.n_tokens + found.n_outliers == 300
        assert np.isfinite(found.fvu).all()
    if stack:
        book = at_place(m, "L1.resid_post")
        with pytest.raises(Error, match="the text is read by the encoder"):
            api.run("dictionary_check", holding(m, book), dictionary="small")


def test_too_little_text_is_refused(llama: Loaded) -> None:
    m = holding(llama, at_place(llama, "L1.resid_post"))
    with pytest.raises(Error, match="at least 256 are needed"):
        api.run("dictionary_check", m, dictionary="small", corpus=["the cat sat on the mat"])
    with pytest.raises(Error, match="n_tokens lies between"):
        api.run("dictionary_check", m, dictionary="small", n_tokens=3)


@pytest.mark.parametrize("dark", [False, True])
def test_the_figure_says_the_sentence_and_the_sample(dark: bool, ask: Asked) -> None:
    declared = replace(made(), b_in=None)
    found = ask(declared, {POST: tokens(made())})
    fig = figure(found, Look(dark=dark))
    assert fig.layout.title.text.startswith("This file fits better read with: bias subtracted.")
    assert list(fig.data[0].y) == list(found.rows)
    colours = fig.data[0].marker.color
    assert colours[0] == colour("a", Look(dark=dark))
    assert [n for n, each in enumerate(colours) if each == colour("b", Look(dark=dark))] == [
        found.better
    ]
    assert "600 tokens of 10 contexts" in caption(found)
    assert max(fig.data[0].x) <= fig.layout.xaxis.range[1]
