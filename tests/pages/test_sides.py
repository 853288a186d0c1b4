"""Columns for several models: selections translate both ways, keys differ, scales agree."""

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
        later = sides.bound(where)
        assert not sides.first()
    assert where() == "A"
    assert later() == "B"


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


def test_one_model_keeps_its_figure(session):
    fig = _map(0, 1)
    assert scales.shared(fig, "effect") is fig
    assert not session
