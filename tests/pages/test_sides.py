"""Columns for several models: selections translate both ways, keys differ, scales agree."""

from dataclasses import replace

import plotly.graph_objects as go
import pytest
import streamlit as st

from core.spec.request import ModelRef
from core.spec.workspace import Selection, Workspace
from pages.shared import scales, sides
from pages.shared.sides import Side

A, B = ModelRef("embedded"), ModelRef("embedded-small")
WORK = Workspace(models=(A, B), selection=Selection(token=3, layer=5, head=2, neuron=17))


def test_a_column_sees_its_own_model_and_the_counterpart_of_the_selection():
    side = Side(1, 2, (A, B), tokens=(0, 1, 3, -1, 4), layers=(6, 11), partners={"neuron": (7, 99)})
    seen = side.seen(WORK)
    assert seen.models == (B,)
    assert seen.selection.token == 2
    assert seen.selection.neuron == 99
    assert seen.selection.layer == 7  # that of the partner


def test_layers_are_brought_together_by_depth_and_back():
    side = Side(1, 2, (A, B), layers=(6, 11))
    assert side.seen(WORK).selection.layer == 10
    assert [side.layer_of_a(side.layer(layer)) for layer in range(6)] == list(range(6))


def test_a_unit_without_a_counterpart_is_not_selected():
    side = Side(1, 2, (A, B), layers=(6, 11), partners={"neuron": None, "head": None})
    assert side.seen(WORK).selection.neuron is None
    assert side.seen(WORK).selection.head is None


def test_what_is_chosen_in_a_column_is_told_in_terms_of_a():
    side = Side(1, 2, (A, B), tokens=(0, 1, 3, -1, 4), layers=(6, 11))
    seen = side.seen(WORK)
    chosen = Workspace(
        models=seen.models, selection=Selection(token=4, layer=2, head=2, neuron=17), prompt="x"
    )
    told = side.told(WORK, chosen)
    assert told.models == (A, B)
    assert told.prompt == "x"
    assert told.selection.token == 4
    assert told.selection.layer == 1
    lost = Workspace(models=seen.models, selection=Selection(token=3, layer=10, head=2, neuron=17))
    assert side.told(WORK, lost).selection.token == 3  # no token of A ends there: nothing moves


def test_nothing_changes_for_one_model():
    assert Side().seen(WORK) is WORK
    assert Side().told(WORK, WORK) is WORK
    assert sides.key("lens") == "lens"


def test_keys_differ_by_column_and_callbacks_keep_theirs():
    side = Side(1, 2, (A, B))

    def where() -> str:
        return sides.here().letter

    with sides.drawn_for(side):
        assert sides.key("lens") == "lens_on_B"
        assert sides.key(sides.key("lens")) == "lens_on_B"
        assert sides.key(f"{sides.key('lens')}_chart") == "lens_on_B_chart"
        later = sides.bound(where)
        assert not sides.first()
    assert where() == "A"
    assert later() == "B"


def test_a_unit_chosen_here_selects_its_partner_in_a_and_one_without_selects_nothing():
    side = Side(1, 2, (A, B), layers=(6, 11), partners={"head": (9, 4)},
                back={"head": {(3, 2): (1, 0), (9, 4): (5, 2)}})  # fmt: skip
    seen = side.seen(WORK)
    assert (seen.selection.layer, seen.selection.head) == (9, 4)

    def chosen(layer: int, head: int, *given: str) -> tuple[Workspace, object]:
        new = replace(seen, selection=replace(seen.selection, layer=layer, head=head))
        return side.told(WORK, new, given), side.stray(WORK, new, given)

    told, lost = chosen(3, 2)
    assert (told.selection.layer, told.selection.head, lost) == (1, 0, None)
    told, lost = chosen(8, 8)
    assert (told.selection.layer, told.selection.head) == (5, 2)
    assert lost == ("head", (8, 8))
    told, lost = chosen(3, 4, "layer", "head")  # the number is as it was, the head is not
    assert (told.selection.layer, told.selection.head) == (5, 2)
    assert lost == ("head", (3, 4))


def test_the_feature_of_another_dictionary_leaves_the_layer_alone():
    side = Side(1, 2, (A, B), partners={"feature": (0, 33)}, back={"feature": {(0, 8): (0, 5)}})
    work = replace(WORK, selection=replace(WORK.selection, feature=4))
    seen = side.seen(work)
    assert (seen.selection.feature, seen.selection.layer) == (33, 5)
    told = side.told(work, replace(seen, selection=replace(seen.selection, feature=8)))
    assert (told.selection.feature, told.selection.layer) == (5, 5)


@pytest.fixture
def session(monkeypatch):
    held: dict[str, object] = {}
    monkeypatch.setattr(st, "session_state", held)
    return held


def _map(low: float, high: float) -> go.Figure:
    return go.Figure(go.Heatmap(z=[[low, high], [None, high]]))


def test_heat_maps_of_all_columns_have_one_scale(session, monkeypatch):
    again = []
    monkeypatch.setattr("pages.shared.state.rerun", lambda: again.append(1))
    for _ in range(2):
        drawn = []
        for number, ends in ((0, (-1.0, 4.0)), (1, (-5.0, 2.0))):
            with sides.drawn_for(Side(number, 2, (A, B))):
                drawn.append(scales.shared(_map(*ends), sides.key("effect")))
        scales.settle()
    assert again == [1]  # the second run knew both
    assert [(fig.data[0].zmin, fig.data[0].zmax) for fig in drawn] == [(-5.0, 4.0)] * 2


def test_axes_of_all_columns_have_one_scale_and_words_keep_theirs(session, monkeypatch):
    monkeypatch.setattr("pages.shared.state.rerun", lambda: None)

    def both(most: float) -> go.Figure:
        dots = go.Scatter(x=[0.0, most], y=[0.2, 0.4])
        bars = go.Bar(x=["he", "she"], y=[most, 1.0], xaxis="x2", yaxis="y2")
        upwards = {"range": [0, 1 if most > 0 else 0.5]}
        return go.Figure([dots, bars], {"yaxis": upwards, "xaxis2": {"title": {"text": "token"}}})

    for _ in range(2):
        drawn = []
        for number, most in ((0, 4.0), (1, -8.0)):
            with sides.drawn_for(Side(number, 2, (A, B))):
                fig = scales.shared(both(most), sides.key("effect"))
                drawn.append(fig.layout.to_plotly_json())
    one, other = drawn
    assert one["xaxis"]["range"] == other["xaxis"]["range"] == pytest.approx([-8.6, 4.6])
    assert one["yaxis2"]["range"] == other["yaxis2"]["range"] == pytest.approx([-8.6, 4.6])
    assert one["yaxis"]["range"] == other["yaxis"]["range"] == [0, 1]
    assert "range" not in one["xaxis2"]


def test_one_model_keeps_its_figure(session):
    fig = _map(0, 1)
    assert scales.shared(fig, "effect") is fig
    assert not session
