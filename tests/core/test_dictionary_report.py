"""Quality of dictionaries: known answers for those whose quality is known, and honest controls."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from core import api
from core.analyses import dictionary_controls, dictionary_report, splice
from core.corpus.chunks import contexts
from core.dictionaries.sparse import SparseDict
from core.engine.forward import run
from core.engine.rows import rows, text_rows
from core.figures.table import caption, figure, title
from core.figures.theme import Look
from core.models.loaded import Loaded
from core.results.dictionary_report import DictionaryReport
from core.spec.errors import Error
from core.spec.site import site
from kernels.feature_topk import Activation

TEXTS = (
    "Once upon a time there was a little dog who lived in a big red house by the sea.",
    "Tom and Sue went to the park. They saw a bird in a tree, and the bird sang a song.",
    "It was a cold day. The cat sat by the fire, and the old man read a book to the cat.",
)


def identity(d: int, at: str, out: str = "", name: str = "identity") -> SparseDict:
    """Positive and negative part of every coordinate: nothing is lost."""
    both = torch.cat([torch.eye(d), -torch.eye(d)])
    return SparseDict(
        name=name,
        site=site(at),
        out_site=site(out or at),
        W_enc=both.T.contiguous(),
        b_enc=torch.zeros(2 * d),
        W_dec=both,
        b_out=torch.zeros(d),
        act=Activation("relu"),
    )


def nothing(d: int, at: str) -> SparseDict:
    """Every token is written as zero."""
    return replace(identity(d, at, name="nothing"), W_dec=torch.zeros(2 * d, d))


def noisy(d: int, at: str) -> SparseDict:
    one = identity(d, at, name="noisy")
    noise = torch.randn(one.W_dec.shape, generator=torch.Generator().manual_seed(0))
    return replace(one, W_dec=one.W_dec + 0.1 * noise)


@pytest.fixture(scope="module")
def m(tiny: Callable[[str], Path]) -> Loaded:
    return api.load(tiny("gpt2"), device="cpu")


def report(loaded: Loaded, *books: SparseDict, **options: object) -> DictionaryReport:
    held = replace(loaded, dictionaries={book.name: book for book in books}, memo={})
    result = api.run("dictionary_report", held, corpus=TEXTS, window=16, **options)
    assert isinstance(result, DictionaryReport)
    return result


@pytest.fixture(scope="module")
def known(stories: Loaded) -> DictionaryReport:
    d, at = stories.d_model, "L1.resid_post"
    return report(stories, identity(d, at), nothing(d, at), noisy(d, at))


def test_an_identity_loses_nothing_and_a_zero_dictionary_what_zero_ablation_loses(
    stories: Loaded, known: DictionaryReport
) -> None:
    assert known.fvu[0, 0] < 1e-10
    assert known.cosine[0, 0] == pytest.approx(1, abs=1e-6)
    assert known.recovered[0, 0] == pytest.approx([1, 1], abs=1e-4)
    assert abs(known.delta_ce[0, 0]) < 1e-5
    assert known.kl[0, 0] < 1e-5
    assert known.bias[0, 0] == pytest.approx(1, abs=1e-6)
    assert known.l0[0, 0] == pytest.approx(stories.d_model)
    assert known.recovered[1, 0, 0] == pytest.approx(0, abs=1e-5)
    assert known.delta_ce[1, 0] == pytest.approx(known.delta_ce[1, 3], abs=1e-5)


def test_the_mean_is_that_of_the_data_set(stories: Loaded, known: DictionaryReport) -> None:
    at, made = site("L1.resid_post"), []
    for window in contexts(stories, TEXTS, window=16).windows:
        values = run(stories, rows(stories, [window.ids]), read=[at], logits="none").values[at]
        made.append(values[0, torch.tensor(window.keep)].double())
    y = torch.cat(made)
    assert known.n_tokens == len(y)
    spread = (y - y.mean(0)).square().sum()
    # A dictionary of zeros leaves |y|^2: the variance, and the mean's own length besides.
    assert known.fvu[1, 0] == pytest.approx(float(y.square().sum() / spread), rel=1e-5)
    assert known.fvu_centred[1, 0] == pytest.approx(1, rel=1e-5)
    book = noisy(stories.d_model, "L1.resid_post")
    wrong = y.clamp_min(0) @ book.W_dec[: stories.d_model].double()
    wrong += (-y).clamp_min(0) @ book.W_dec[stories.d_model :].double() - y
    assert known.fvu[2, 0] == pytest.approx(float(wrong.square().sum() / spread), rel=1e-4)


def test_groups_by_position_and_by_length_add_up_to_the_whole(known: DictionaryReport) -> None:
    assert known.position_n.sum() == known.n_tokens
    assert np.nansum(known.norm_n[0]) == known.n_tokens
    assert known.position_n[0] == 0
    assert np.isnan(known.position_fvu[:, 0]).all()
    inside = (known.position_fvu[2, 1:].min(), known.position_fvu[2, 1:].max())
    assert inside[0] <= known.fvu[2, 0] <= inside[1]
    # Tokens near the mean have little to explain, so a constant share of |y| weighs more there.
    assert (np.diff(known.norm_edges[0]) > 0).all()


def test_the_worst_contexts_are_those_that_are_reconstructed_worst(
    known: DictionaryReport,
) -> None:
    row = known.worst_fvu[2][known.worst_context[2] >= 0]
    assert len(row) > 2
    assert (np.diff(row) <= 0).all()
    error = known.worst_error[2, 0]
    counted = ~np.isnan(error)
    assert not counted[0]
    assert counted.sum() >= 8
    assert (known.worst_ids[2, 0] >= 0)[counted].all()


def test_with_the_error_term_a_splice_changes_nothing_and_without_it_does(m: Loaded) -> None:
    shown = text_rows(m, TEXTS[0])
    keep = torch.ones(shown.ids.shape, dtype=torch.bool)
    keep[:, 0] = False
    clean = run(m, shown).logits
    for book in (
        noisy(m.d_model, "L1.resid_post"),
        noisy(m.d_model, "L0.mlp_out"),
        replace(noisy(m.d_model, "L1.resid_mid"), out_site=site("L1.mlp_out")),
        replace(noisy(m.n_heads * m.d_head, "L1.head"), heads=True),
    ):
        with splice.spliced(m, shown, book, keep, error=True):
            held = run(m, shown).logits
        with splice.spliced(m, shown, book, keep):
            pure = run(m, shown).logits
        assert (held - clean).abs().max() < 1e-4
        assert (pure - clean).abs().max() > 1e-2
        assert torch.equal(pure[:, 0], clean[:, 0])
    assert torch.equal(run(m, shown).logits, clean)


def test_a_transcoder_is_fed_from_where_it_reads(m: Loaded) -> None:
    # It writes what the in-site holds; the same by hand.
    book = identity(m.d_model, "L1.resid_mid", "L1.mlp_out")
    shown = text_rows(m, TEXTS[1])
    keep = torch.ones(shown.ids.shape, dtype=torch.bool)
    read = [site("L1.resid_mid"), site("L1.mlp_out"), site("L1.resid_post")]
    clean = run(m, shown, read=read, logits="none").values
    with splice.spliced(m, shown, book, keep):
        seen = run(m, shown, read=read, logits="none").values
    torch.testing.assert_close(seen[read[1]], clean[read[0]])
    torch.testing.assert_close(seen[read[2]], 2 * clean[read[0]])
    result = report(m, book, n_loss_contexts=2)
    assert result.sites == ("L1.resid_mid to L1.mlp_out",)
    y, x = (clean[place][0, 1:].double() for place in (read[1], read[0]))
    assert (y - x).square().sum() > 0
    assert result.fvu[0, 0] > 0.5


def test_controls_have_as_many_features_and_the_embedded_dictionary_beats_them() -> None:
    result = api.run(
        "dictionary_report", api.load("embedded", device="cpu"), dictionary="topk-L2",
        corpus="world", n_contexts=40, n_loss_contexts=6,
    )  # fmt: skip
    assert result.fvu[0, 0] < 0.1
    assert 0.5 < result.fvu[0, 1] < result.fvu[0, 2]
    np.testing.assert_allclose(result.l0, 16, atol=0.1)
    assert result.delta_ce[0, 0] < 0.05
    assert result.delta_ce[0, 1] > 0.3
    # The zero in the denominator flatters: random rows "recover" most of the loss.
    assert result.recovered[0, 1, 0] > 0.7
    assert result.density["topk-L2"].sum() == pytest.approx(result.l0[0, 0])
    assert result.dead_share[0] == (result.density["topk-L2"] == 0).mean()


def test_it_says_what_it_cannot_do(m: Loaded, tiny: Callable[[str], Path]) -> None:
    with pytest.raises(Error, match="has no dictionary"):
        report(m)
    with pytest.raises(Error, match="no dictionary 'x'"):
        report(m, identity(m.d_model, "L1.resid_post"), dictionary="x")
    bert = api.load(tiny("bert"), device="cpu")
    result = report(bert, identity(bert.d_model, "L1.resid_post"))
    assert result.fvu[0, 0] < 1e-10
    assert "does not continue a text" in result.loss_missing
    assert np.isnan(result.delta_ce).all()
    assert np.isnan(result.ce_clean)
    assert "does not continue" in caption(result)


@pytest.mark.parametrize("view", ["quality", "losses", "density", "position", "norm"])
def test_every_view_is_drawn_and_says_control_and_sample(
    known: DictionaryReport, view: str
) -> None:
    assert all(figure(known, Look(dark=dark), view=view).data for dark in (False, True))
    assert "FVU" in title(known)
    assert "tokens" in caption(known)
    assert "random" in caption(known)


@pytest.mark.parametrize("pre_scale", [False, True])
def test_what_the_shuffled_rows_are_given_is_what_they_would_find_themselves(
    m: Loaded, pre_scale: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where latents are selected by the length they write, other rows are other codes."""
    book = replace(noisy(m.d_model, "L1.resid_post"), act=Activation("topk", k=3))
    lengths = torch.linspace(0.2, 3, book.n_features)[:, None]
    book = replace(book, W_dec=book.W_dec * lengths, pre_scale=pre_scale)
    quick = report(m, book, n_loss_contexts=1)
    assert dictionary_controls.reads_alike(book, book)
    shuffled = dictionary_controls.shuffled_dictionary(book, 0)
    assert dictionary_controls.reads_alike(shuffled, book) is not pre_scale
    monkeypatch.setattr(dictionary_report, "reads_alike", lambda *_: False)
    slow = report(m, book, n_loss_contexts=1)
    for name, array in slow.arrays().items():
        np.testing.assert_array_equal(quick.arrays()[name], array)
