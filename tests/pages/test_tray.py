"""The clamp tray on every page, on a made-up engine."""

from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from core.spec.interventions import Ablate, Add, Clamp, Limit, Patch, Scale
from core.spec.links import to_query
from core.spec.site import site
from core.spec.workspace import TrayItem, Workspace
from tests.pages import fake
from tests.pages.fake import (
    FULL,
    FakeEngine,
    address,
    clamped,
    field,
    notes,
    query,
    settled,
    texts,
    visit,
    work,
)


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    return fake.install(monkeypatch)


def test_every_item_of_the_tray_is_named_by_its_site_and_kind():
    at = visit("status", query(FULL))
    labels = [toggle.label for toggle in at.toggle]
    assert labels[0] == "`L1.neuron[17]`"
    said = [caption.value.partition(",")[0].partition(":")[0] for caption in at.caption]
    kinds = ["clamp", "scale", "ablate", "add", "project", "patch"]
    assert [word for word in said if word in kinds] == kinds
    assert [toggle.value for toggle in at.toggle][:3] == [True, False, True]


def test_the_slider_speaks_in_units_of_the_observed_maximum():
    at = visit("status", query(clamped(5.0, unit=2.0)))
    assert field(at, "clamp_0_times").value == 2.5
    assert "2.5 × max 2" in texts(at)
    field(at, "clamp_0_times").set_value(-1.5)
    settled(at)
    assert work(at).active() == (Clamp(site("L1.neuron[0]"), -3.0),)
    assert field(at, "clamp_0_value").value == -3.0


def test_the_number_goes_beyond_the_slider():
    at = visit("status", query(clamped(5.0)))
    field(at, "clamp_0_value").set_value(100.0)
    settled(at)
    assert work(at).active() == (Clamp(site("L1.neuron[0]"), 100.0),)
    assert field(at, "clamp_0_times").value == 4.0


def test_an_unknown_maximum_is_measured_and_the_link_stays_the_same(engine):
    work_ = replace(clamped(6.5), tray=(TrayItem(Clamp(site("L1.neuron[0]@2"), 6.5)),))
    at = visit("status", query(work_))
    assert [q.option("at") for q in engine.questions("scale")] == ["L1.neuron[0]"]
    assert field(at, "clamp_0_times").value == pytest.approx(2.0)
    assert f"2 × max {fake.UNIT}" in texts(at)
    assert address(at) == to_query(work_)


def test_switching_one_off_keeps_it_in_the_tray():
    at = visit("status", query(clamped(1.0, 2.0)))
    field(at, "clamp_0_on").set_value(False)
    settled(at)
    assert [item.on for item in work(at).tray] == [False, True]


def test_off_switches_all_off_and_on_again():
    at = visit("status", query(clamped(1.0, 2.0)))
    at.button(key="tray_off").click()
    settled(at)
    assert work(at).active() == ()
    assert at.button(key="tray_off").label == "on"
    at.button(key="tray_off").click()
    settled(at)
    assert len(work(at).active()) == 2


def test_remove_undo_redo_and_clear():
    at = visit("status", query(clamped(1.0, 2.0)))
    seen = []
    for key in ("clamp_0_remove", "tray_undo", "tray_redo", "tray_undo", "tray_clear", "bar_undo"):
        at.button(key=key).click()
        settled(at)
        seen.append(len(work(at).tray))
    assert seen == [1, 2, 1, 2, 0, 2]
    assert work(at).tray == clamped(1.0, 2.0).tray


def add(at: AppTest, kind: str, place: str, value: str) -> AppTest:
    at.selectbox(key="clamp_kind").set_value(kind)
    at.text_input(key="clamp_site").set_value(place)
    at.text_input(key="clamp_value").set_value(value)
    at.button(key="FormSubmitter:clamp_form-Add").click()
    return settled(at)


@pytest.mark.parametrize(
    ("kind", "place", "value", "change"),
    [
        ("clamp", "L2.neuron[17]", "8", Clamp(site("L2.neuron[17]"), 8.0)),
        ("clamp", " L2.neuron[17]@3 ", "−2.5", Clamp(site("L2.neuron[17]@3"), -2.5)),
        ("scale", "L1.head[3]", "0.5", Scale(site("L1.head[3]"), 0.5)),
        ("ablate", "L0.mlp_out", "", Ablate(site("L0.mlp_out"))),
        ("ablate", "L0.mlp_out", "mean", Ablate(site("L0.mlp_out"), "mean")),
        ("patch", "L1.resid_pre", "a text", Patch(site("L1.resid_pre"), "a text")),
    ],
)
def test_a_change_is_added_by_typing(kind, place, value, change):
    assert work(add(visit("status"), kind, place, value)).active() == (change,)


@pytest.mark.parametrize(
    ("kind", "place", "value", "said"),
    [
        ("clamp", "L2.neuron[17]", "nan", "must be finite"),
        ("clamp", "L2.neuron[17]", "inf", "must be finite"),
        ("clamp", "L2.neuron[17]", "much", "must be a number"),
        ("clamp", "L2.neuron[17]", "", "needs a number"),
        ("clamp", "neuron 17", "8", "not a site"),
        ("clamp", "L2.nothing[1]", "8", "no component"),
        ("clamp", "L99.neuron[17]", "8", "layers 0 to 7"),
        ("clamp", "L2.neuron[9999]", "8", "neurons 0 to 767"),
        ("scale", "L2.head[6]", "8", "heads 0 to 5"),
        ("clamp", "L2.resid_post[192]", "8", "channels 0 to 191"),
        ("clamp", "L2.pattern", "8", "read but not changed"),
        ("ablate", "L0.mlp_out", "ash", "ablate to"),
        ("patch", "L1.resid_pre", " ", "needs the text"),
        ("clamp", "<img src=x onerror=alert(1)>", "8", "not a site"),
    ],
)
def test_a_wrong_entry_is_one_sentence_and_changes_nothing(kind, place, value, said):
    at = add(visit("status"), kind, place, value)
    assert work(at) == Workspace()
    assert len(notes(at)) == 1
    assert said in notes(at)[0]
    assert "<img" not in notes(at)[0]


def test_the_same_kind_at_the_same_site_replaces_the_old():
    at = add(visit("status", query(clamped(1.0, 2.0))), "clamp", "L1.neuron[0]", "7")
    assert [c.value for c in work(at).active()] == [7.0, 2.0]


def test_a_full_tray_says_so():
    at = add(visit("status", query(clamped(*[1.0] * 32))), "clamp", "L2.neuron[5]", "7")
    assert len(work(at).tray) == 32
    assert "at most 32" in notes(at)[0]


def test_a_clamp_from_a_link_that_the_model_has_no_place_for_is_left_out_and_said():
    bad = Workspace(tray=(TrayItem(Clamp(site("L50.neuron[1]"), 1.0)),))
    at = visit("status", query(bad))
    assert "Left out. L50.neuron[1]: the model has layers 0 to 7" in texts(at)


def test_where_a_clamp_acts_is_chosen_in_its_editor_and_said_in_the_tray():
    at = visit("status", query(clamped(1.0)))
    field(at, "clamp_0_where").set_value("generated")
    settled(at)
    assert work(at).active() == (Clamp(site("L1.neuron[0]"), 1.0, "generated"),)
    assert "generated tokens only" in texts(at)
    field(at, "clamp_0_where").set_value("chosen")
    settled(at)
    assert work(at).active()[0].where == "0"
    field(at, "clamp_0_tokens").set_value("9-, 2,5")
    settled(at)
    assert work(at).active()[0].where == "2,5,9-"
    assert "tokens 2,5,9-" in texts(at)


def test_tokens_that_cannot_be_read_are_one_sentence_and_change_nothing():
    state = Workspace(tray=(TrayItem(Clamp(site("L1.neuron[0]"), 1.0, "3-7")),))
    at = visit("status", query(state))
    field(at, "clamp_0_tokens").set_value("<b>7-3")
    settled(at)
    assert work(at).active()[0].where == "3-7"
    assert "cannot be read" in notes(at)[0]
    assert "<b>" not in notes(at)[0]


def test_the_kind_of_a_clamp_is_chosen_in_its_editor():
    at = visit("status", query(clamped(5.0, unit=2.0)))
    for name, change in (
        ("cap", Limit(site("L1.neuron[0]"), high=5.0)),
        ("floor", Limit(site("L1.neuron[0]"), low=5.0)),
        ("scale", Scale(site("L1.neuron[0]"), 0.0)),
        ("mean", Ablate(site("L1.neuron[0]"), "mean")),
        ("add", Add(site("L1.neuron[0]"), (1.0,), 2.0)),
        ("set", Clamp(site("L1.neuron[0]"), 2.0)),
    ):
        field(at, "clamp_0_kind").set_value(name)
        settled(at)
        assert work(at).active() == (change,)


def test_a_cap_and_a_floor_of_one_neuron_stand_beside_each_other():
    at = add(visit("status"), "cap", "L2.neuron[17]", "2")
    at = add(at, "floor", "L2.neuron[17]", "−1")
    at = add(at, "cap", "L2.neuron[17]", "3")
    assert work(at).active() == (
        Limit(site("L2.neuron[17]"), high=3.0),
        Limit(site("L2.neuron[17]"), low=-1.0),
    )


def test_a_closed_editor_draws_nothing(monkeypatch):
    monkeypatch.setattr("pages.shared.popover.is_open", lambda _box: False)
    at = visit("status", query(clamped(1.0)))
    keys = {str(widget.key).rpartition("__")[0] for widget in at.selectbox}
    assert "clamp_0_kind" not in keys
