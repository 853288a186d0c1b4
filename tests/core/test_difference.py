"""Two answers of one question subtracted: nothing where nothing changed, else the change."""

import numpy as np
import pytest

from core import api
from core.figures import difference as drawing
from core.figures.theme import Look
from core.spec.errors import Error

TEXT = "The dog is big. The mouse is very"


@pytest.fixture(scope="module")
def pair():
    return api.load("embedded"), api.load("embedded-tuned")


@pytest.fixture(scope="module")
def effects(pair):
    return [api.run("head_effect", model, text=TEXT) for model in pair]


def test_a_model_and_itself_differ_nowhere(effects):
    found = api.difference(effects[0], effects[0])
    assert set(found.change) == {"effect on the answer", "direct effect", "KL when ablated"}
    for name, change in found.change.items():
        assert not change.any()
        assert not found.beyond(name).any()


def test_cells_are_the_second_minus_the_first_with_the_controls_beside_them(effects):
    found = api.difference(*effects)
    one, other = effects
    assert np.allclose(found.change["effect on the answer"], other.effect - one.effect)
    assert np.allclose(found.noise["effect on the answer"], other.control - one.control)
    row, column = found.largest("effect on the answer", 1)[0]
    change = np.abs(found.change["effect on the answer"])
    assert change[row, column] == change.max()


def test_a_clamp_changes_what_comes_after_it_and_nothing_before(pair):
    model = pair[0]
    clean = api.run("lens", model, text=TEXT)
    moved = api.run("lens", model, text=TEXT, interventions=[api.Ablate("L2.attn_out", "zero")])
    found = api.difference(clean, moved)
    assert not found.change["entropy"][:2].any()
    assert found.beyond("entropy")[2:].any()


def test_curves_over_depth_have_a_column_of_their_own(pair):
    answers = [api.run("depth", m, labelled="animals") for m in pair]
    found = api.difference(*answers)
    assert found.change["accuracy"].shape == (pair[0].n_layers + 1, 1)
    assert drawing.figure(found, Look()).data


@pytest.mark.parametrize("dark", [False, True])
def test_figures_show_the_noise_on_the_same_scale(effects, dark):
    found = api.difference(*effects)
    fig = drawing.figure(found, Look(dark=dark))
    assert [trace.zmax for trace in fig.data] == [fig.data[0].zmax] * 2
    assert "noise" in drawing.title(found)


def test_what_does_not_correspond_is_a_sentence(pair, effects, stories):
    lens = api.run("lens", pair[0], text=TEXT)
    with pytest.raises(Error, match="no common cells"):
        api.difference(effects[0], lens)
    with pytest.raises(Error, match="different tokens"):
        api.difference(lens, api.run("lens", stories, text=TEXT))
    with pytest.raises(Error, match="different shape"):
        api.difference(effects[0], api.run("head_effect", stories, text=TEXT))
    card = api.run("card", pair[0])
    with pytest.raises(Error, match="no cells to compare"):
        api.difference(card, card)


def test_a_saved_difference_opens_again(effects, tmp_path):
    found = api.difference(*effects)
    again = api.open_result(found.save(tmp_path / "d"))
    assert np.array_equal(again.change["direct effect"], found.change["direct effect"])
    assert again.units == found.units
