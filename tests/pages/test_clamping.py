"""The clamp panel on a made-up engine: what it asks, what goes into the tray, what it says."""

from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from core.spec.drafts import KINDS, Size, kind_of, kinds, make, value_of
from core.spec.interventions import Ablate, Add, Clamp, Limit, Project, Scale
from core.spec.links import to_query
from core.spec.site import site
from core.spec.workspace import Selection, TrayItem, Workspace
from tests.pages import fake, samples
from tests.pages.fake import STEP, FakeEngine, address, field, query, settled, texts, visit, work


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    return fake.install(monkeypatch)


NEURON = Workspace(selection=Selection(layer=3, neuron=9)).with_choice("panel", "neuron")
HEAD = Workspace(selection=Selection(layer=2, head=4)).with_choice("panel", "head")


def opened(state: Workspace) -> AppTest:
    return visit("steer", query(state))


def choose(at: AppTest, key: str, value: object) -> AppTest:
    field(at, key).set_value(value)
    return settled(at)


def put(at: AppTest) -> AppTest:
    at.button(key="clamping_add").click()
    return settled(at)


def test_a_closed_panel_asks_nothing(engine):
    at = opened(replace(NEURON, choices=()))
    assert engine.questions("unit_effect") == []
    assert "Clamp one unit" in texts(at)


def test_an_open_panel_asks_for_dose_and_effects_of_the_selected_neuron(engine):
    at = opened(NEURON)
    (effect,) = engine.questions("unit_effect")
    assert effect.option("at") == "L3.neuron[9]"
    (dose,) = [q for q in engine.questions("dose") if q.interventions]
    assert dose.interventions == (Clamp(site("L3.neuron[9]"), STEP),)
    assert "Best usable strength: +2" in texts(at)
    assert "set to +p99.9" in texts(at)
    assert len(at.get("plotly_chart")) == 5


def test_strength_counts_in_the_99_9th_percentile_and_says_what_is_off_distribution():
    at = choose(opened(NEURON), "clamping_times", 1.0)
    assert f"+1 × {STEP:g} (99.9th percentile; largest 3.25)" in texts(at)
    assert "natural range −0.5 to +1.25" in texts(at)
    assert "**off-distribution**" not in texts(at)
    at = choose(at, "clamping_times", 2.0)
    assert "**off-distribution**" in texts(at)
    assert field(at, "clamping_value").value == 2 * STEP
    at = choose(at, "clamping_value", -10.0)
    assert field(at, "clamping_times").value == -4.0
    assert work(put(at)).active() == (Clamp(site("L3.neuron[9]"), -10.0),)


def test_moving_the_slider_asks_nothing_new(engine):
    at = opened(NEURON)
    asked = len(engine.asked)
    choose(at, "clamping_times", 2.5)
    assert len(engine.asked) == asked


@pytest.mark.parametrize(
    "kind", ["set", "add", "scale", "zero", "mean", "resample", "cap", "floor"]
)
def test_every_kind_goes_into_the_tray_as_it_is_named(kind):
    at = choose(opened(NEURON), "clamping_kind", kind)
    (change,) = work(put(at)).active()
    assert kind_of(change) == kind
    assert at.button(key="clamping_add").label == "in the tray"


def test_a_head_is_scaled_ablated_or_resampled_but_not_set(engine):
    at = opened(HEAD)
    assert kinds(site("L2.head[4]")) == ("scale", "zero", "mean", "resample")
    assert field(at, "clamping_kind").value == "scale"
    at = choose(at, "clamping_times", 0.0)
    assert work(put(at)).active() == (Scale(site("L2.head[4]"), 0.0),)
    assert engine.questions("unit_effect")[-1].option("at") == "L2.head[4]"
    assert engine.questions("scale") == []


def test_where_a_neuron_is_taken_hold_of_is_said(engine):
    at = opened(NEURON)
    assert "The reliable place" in texts(at)
    at = choose(at, "clamping_part", "up")
    assert "the effect still depends on the token" in texts(at)
    assert engine.questions("unit_effect")[-1].option("at") == "L3.up[9]"
    assert work(put(at)).active()[0].site == site("L3.up[9]")


def test_a_model_without_gates_offers_none(engine):
    engine.card = fake.card(unavailable=(("gates of neurons", "a neuron is act(up)"),))
    at = opened(NEURON)
    assert list(field(at, "clamping_part").options) == ["neuron", "before act"]


def test_where_it_acts_goes_into_questions_and_tray(engine):
    at = choose(opened(NEURON), "clamping_where", "generated")
    assert engine.questions("unit_effect")[-1].option("where") == "generated"
    assert work(put(at)).active()[0].where == "generated"


def test_the_best_usable_strength_is_one_click_away():
    at = opened(NEURON)
    at.button(key="unit_dose_best").click()
    settled(at)
    assert field(at, "clamping_value").value == pytest.approx(2 * samples.dose().unit)


def test_the_panel_comes_back_with_its_link():
    state = NEURON.with_choice("kind", "cap").with_choice("times", "-1.5")
    state = state.with_choice("where", "2,5-7").with_choice("part", "gate")
    at = opened(state)
    assert address(at) == to_query(state)
    wanted = Limit(site("L3.gate[9]"), high=-1.5 * STEP, where="2,5-7")
    assert work(put(at)).active() == (wanted,)


@pytest.mark.parametrize(
    ("name", "value"),
    [("times", "nan"), ("times", "<b>"), ("where", "7-3"), ("kind", "explode"), ("part", "x")],
)
def test_a_choice_that_cannot_be_read_becomes_the_first(name, value):
    at = put(opened(NEURON.with_choice(name, value)))
    assert work(at).active() == (Clamp(site("L3.neuron[9]"), STEP),)


def test_the_tray_keeps_what_is_done_to_other_units_and_leaves_out_this_one(engine):
    tray = (
        TrayItem(Clamp(site("L3.neuron[9]"), 7.0), unit=3.25),
        TrayItem(Ablate(site("L1.head[2]"))),
        TrayItem(Scale(site("L3.up[9]"), 2.0)),
    )
    at = opened(replace(NEURON, tray=tray))
    (effect,) = engine.questions("unit_effect")
    assert effect.interventions == (Ablate(site("L1.head[2]")),)
    assert at.button(key="clamping_add").label == "update the tray"


def test_hostile_tokens_reach_the_table_of_effects_escaped(engine):
    engine.hostile = True
    (table,) = [body for body in fake.htmls(opened(NEURON)) if 'class="eido-effects"' in body]
    assert "<script" not in table
    assert "<img" not in table
    assert "&lt;" in table


# --- what the names mean -------------------------------------------------------------------

D = (3.0, 4.0)
PLACES = ("L3.neuron[9]", "L2.head[4]", "L1.resid_post[3]", "L1.resid_post.feature[d:4]")


@pytest.mark.parametrize("place", PLACES)
def test_every_kind_of_a_unit_is_read_back_by_its_name(place):
    for kind in kinds(site(place)):
        change = make(kind, site(place), 1.5, where="prompt")
        assert kind_of(change) == kind
        assert change.where == "prompt"
        assert value_of(change) in (1.5, None)
        assert kind in KINDS


def test_along_a_direction_steps_are_of_the_stream_and_counted_from_its_mean():
    size = Size(step=10.0, low=-5.0, high=25.0, mean=2.0, length=5.0)
    assert size.value("add", 1.0) == 2.0
    assert size.value("cap", 1.0) == 12.0
    assert size.times("cap", 12.0) == 1.0
    assert size.natural("cap") == (-0.7, 2.3)
    place = site("L1.resid_post")
    assert make("project", place, direction=D) == Project(place, D)
    assert make("centre", place, direction=D, mean=2.0) == Project(place, D, 2.0)
    assert make("scale", place, 0.25, direction=D) == Project(place, D, share=0.75)
    assert make("turn", place, 2.0, direction=D) == Add(place, D, 2.0, keep_norm=True)
    for kind in kinds(place, D):
        change = make(kind, place, 1.5, direction=D, mean=2.0)
        assert kind_of(change) == kind
