"""Two models layer by layer: alike where they are, at chance where not, and what is said."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core import api
from core.figures import compare as drawing
from core.figures.theme import Look
from core.models.loaded import Loaded
from core.results.compare import Compare
from core.spec.errors import Error
from tests.core.copies import writable
from tests.core.two_models import TEXTS, WORDS, reordered, stranger, twin

QUICK = {"texts": TEXTS, "shuffles": 20, "ceiling": False}


@pytest.fixture(scope="module")
def other_weights(llama: Loaded) -> Loaded:
    return stranger(llama)


def test_a_model_against_itself_is_alike_in_everything(llama: Loaded) -> None:
    result = api.run("compare", llama, other=twin(llama), **QUICK)
    assert not result.same
    np.testing.assert_allclose(np.diag(result.cka), 1, atol=1e-9)
    np.testing.assert_allclose(np.diag(result.rsa), 1, atol=1e-9)
    np.testing.assert_allclose(np.diag(result.overlap), 1)
    np.testing.assert_allclose(result.procrustes, 1, atol=1e-6)
    np.testing.assert_allclose(result.cka, result.cka.T, atol=1e-9)
    assert (result.state_distance == 0).all()
    assert np.nan_to_num(result.weight_distance).max() == 0
    assert result.weight_moved.max() == 0
    assert result.cka.shape == (4, 4)
    assert result.same_tokens
    assert api.run("compare", llama, other=llama, **QUICK).same


def test_the_order_of_neurons_changes_nothing_in_the_stream_but_the_weights(llama: Loaded) -> None:
    result = api.run("compare", llama, other=reordered(llama)[0], **QUICK)
    np.testing.assert_allclose(np.diag(result.cka), 1, atol=1e-6)
    assert result.state_distance.max() < 1e-4
    mlp = result.weight_parts.index("mlp")
    assert result.weight_distance[1:, mlp].min() > 1
    attention = result.weight_parts.index("attention")
    assert result.weight_distance[1:, attention].max() == 0


def test_another_random_model_is_no_more_alike_than_fresh_weights(
    llama: Loaded, other_weights: Loaded
) -> None:
    result = api.run("compare", llama, other=other_weights, prepare="zscore", **QUICK)
    last = -1
    # Texts that end in the same word are alike in any model; nothing beyond that is shared.
    assert result.cka[last, last] < 0.6
    assert abs(result.cka[last, last] - result.fresh_cka[last, last]) < 0.25
    assert result.state_distance[1:].min() > 0.5 * result.control_state_distance[1:].min()
    everything = result.weight_distance[1:, -1]
    np.testing.assert_allclose(everything, result.control_weight_distance[1:, -1], rtol=0.1)
    assert result.map_r2[0, last] < 0.6
    assert np.abs(result.control_cka).max() < 0.05
    assert np.abs(result.control_rsa).max() < 0.05
    np.testing.assert_allclose(result.control_overlap, result.chance_overlap, atol=0.06)
    assert result.control_map_r2.max() < 0.1


def test_a_model_by_itself_is_compared_layer_with_layer(llama: Loaded) -> None:
    result = api.run("compare", llama, **QUICK)
    assert result.within
    np.testing.assert_allclose(np.diag(result.cka), 1, atol=1e-9)
    assert result.counterpart.tolist() == [1, 2, 3, 3]
    assert "layer by layer" in drawing.title(result)


def test_cka_is_that_of_the_states_a_notebook_reads(llama: Loaded, other_weights: Loaded) -> None:
    from core.analyses import spaces

    result = api.run("compare", llama, other=other_weights, **QUICK)
    states = []
    for m, site in ((llama, "L1.resid_post"), (other_weights, "L2.resid_post")):
        rows = [api.trace(m, text, [site])[site][-1] for text in TEXTS]
        states.append(spaces.standardised(np.array(rows, dtype=float)))
    assert result.position == "last"
    assert result.cka[2, 3] == pytest.approx(spaces.cka(*states), abs=1e-5)


@pytest.mark.parametrize("family", ["bert", "t5", "gpt2", "gpt_neox"])
def test_other_families_kinds_and_tokenizers_are_compared(
    family: str, llama: Loaded, tiny: Callable[[str], Path]
) -> None:
    other = api.load(tiny(family), device="cpu")
    result = api.run("compare", llama, other=other, texts=TEXTS, shuffles=5)
    assert result.cka.shape[0] == 4
    assert np.isfinite(result.cka).all()
    assert result.kinds[1] == other.kind
    assert not len(result.state_distance)
    assert result.weight_names == ()
    assert any("distances of weights are left out" in words for words in result.notes)
    assert np.isfinite(result.ceiling_there).all()
    with pytest.raises(Error, match="distances of"):
        drawing.figure(result, Look(), view="distance")


def test_tokens_are_compared_where_both_have_read_the_same(llama: Loaded, stories: Loaded) -> None:
    texts = ["Once upon a time there was a dog.", "The cat sat on the mat, and Tom said hello."]
    result = api.run("compare", llama, other=stories, texts=texts, position="token", fresh=False)
    assert not result.same_tokens
    assert result.n_items > 8
    assert result.item(0) == texts[0][: int(result.item_end[0])]
    assert np.isfinite(result.ceiling_here).all()
    assert result.map_error.shape == (4, result.n_items)


def test_texts_that_end_alike_are_read_by_their_mean(llama: Loaded) -> None:
    texts = [f"{text}." for text in TEXTS]
    result = api.run("compare", llama, texts=texts, shuffles=5, fresh=False, ceiling=False)
    assert result.position == "mean"
    assert any("end in the same token" in words for words in result.notes)
    assert np.isfinite(result.cka).all()
    last = api.run(
        "compare", llama, texts=texts, position="last", shuffles=5, fresh=False, ceiling=False
    )
    assert np.isnan(last.cka[0]).all()
    drawing.figure(last, Look())


def test_a_tuned_model_keeps_its_base_and_moves_late() -> None:
    m = api.load("embedded", device="cpu")
    result = api.run("compare", m, other="embedded-tuned", shuffles=20, most=200, ceiling=False)
    along = np.diag(result.cka)
    assert along.min() > 0.9
    assert along.argmin() == len(along) - 1
    assert result.best.tolist() == list(range(7))
    assert result.beyond("cka").diagonal().all()
    assert result.weight_distance[1:, -1].max() < 0.2
    assert result.control_weight_distance[1:, -1].min() > 1
    assert result.map_r2[:, 1:].min() > 0.8
    assert np.abs(result.control_map_r2).max() < 0.1


def test_the_figures_show_the_numbers_and_their_controls(
    llama: Loaded, other_weights: Loaded
) -> None:
    result: Compare = api.run("compare", llama, other=other_weights, **QUICK)
    for look in (Look(), Look(dark=True, width=700)):
        for view in drawing.VIEWS:
            fig = drawing.figure(result, look, view=view)
            assert fig.data
    fig = drawing.figure(result, Look())
    np.testing.assert_allclose(np.array(fig.data[0].z, float), result.cka, atol=1e-6)
    np.testing.assert_allclose(np.array(fig.data[1].z, float), result.fresh_cka, atol=1e-6)
    shown = np.array(fig.data[0].text)
    sure = result.beyond("cka")
    assert [text.startswith("(") for text in shown.ravel()] == (~sure).ravel().tolist()
    assert "40 items" in drawing.caption(result)
    assert len(result.to_frame()) == 16
    with pytest.raises(Error, match="is seen as"):
        drawing.figure(result, Look(), view="pie")


def said(value: object) -> list[str]:
    """Every text of a figure."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple | np.ndarray):
        return [text for part in value for text in said(part)]
    return []


def test_hostile_texts_and_names_are_shown_as_they_are(llama: Loaded) -> None:
    texts = [f"<b>{word}</b> $x$ {word}" for word in WORDS]
    other = replace(writable(llama), name="<i>evil</i>")
    result = api.run("compare", llama, other=other, texts=texts, shuffles=2, ceiling=False)
    for view in ("cka", "items", "maps"):
        shown = "\n".join(said(drawing.figure(result, Look(), view=view).to_dict()))
        assert "<b>dog" not in shown
        assert "<i>evil" not in shown
        assert "evil" in shown or "dog" in shown


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"texts": ["one text"]}, "at least 4"),
        ({"texts": ["same"] * 9}, "1 items are left"),
        ({"texts": "no list"}, "a list of texts"),
        ({"texts": TEXTS, "position": "first"}, "no position 'first'"),
        ({"texts": TEXTS, "prepare": "log"}, "prepare= is one of"),
        ({"texts": TEXTS, "pairs": "all"}, "pairs= is"),
        ({"texts": TEXTS, "most": 3}, "most= is a whole number"),
    ],
)
def test_what_cannot_be_compared_is_a_sentence(
    options: dict[str, object], said: str, llama: Loaded
) -> None:
    with pytest.raises(Error, match=said):
        api.run("compare", llama, other=llama, **options)


def test_texts_that_one_model_cannot_read_are_left_out_and_said(llama: Loaded) -> None:
    result = api.run(
        "compare", llama, texts=[*TEXTS, "", "word " * 300, TEXTS[0]], shuffles=2, ceiling=False
    )
    assert result.n_items == 40
    assert sum("left out" in words for words in result.notes) == 2
    assert any("twice" in words for words in result.notes)
