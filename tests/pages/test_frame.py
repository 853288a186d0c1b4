"""What every page shares: the address, the models, the clamps, sharing. On a made-up engine."""

import json
from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from core import recent
from core.spec.links import MAX_LINK, to_query, to_session
from core.spec.request import ModelRef
from core.spec.workspace import Selection, Workspace
from pages.shared.menu import MENU
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


# --- the address ---------------------------------------------------------------------------


def test_a_link_restores_every_choice_and_the_address_stays():
    at = visit("status", query(FULL))
    assert work(at) == FULL
    assert address(at) == to_query(FULL)


def test_an_ordinary_visit_has_a_bare_address():
    assert address(visit("status")) == {}


def test_a_change_is_written_to_the_address():
    at = visit("status", query(clamped(8.0)))
    at.button(key="clamp_0_remove").click()
    settled(at)
    assert address(at) == {}


@pytest.mark.parametrize(
    "text", ["?layer=x", "?w=1.zzz", "?w=9.abc", "?temperature=nan", "?model=%7Cmain", "?kept=none"]
)
def test_a_bad_link_opens_the_page_with_defaults_and_one_sentence(text):
    at = visit("status", text)
    assert work(at) == Workspace()
    assert len(notes(at)) == 1
    assert "The link could not be opened" in notes(at)[0]
    assert at.title[0].value == "Status"


def test_the_sentence_stays_until_something_is_changed():
    at = visit("status", "?layer=x")
    settled(at)
    assert notes(at)
    at.session_state["clamp_site"] = "L1.neuron[3]"
    at.session_state["clamp_value"] = "2"
    at.button(key="FormSubmitter:clamp_form-Add").click()
    settled(at)
    assert notes(at) == []


def test_going_back_loads_what_the_address_says_and_keeps_the_history_of_the_tray():
    at = visit("status", query(clamped(8.0)))
    at.button(key="tray_clear").click()
    settled(at)
    for name, value in to_query(clamped(8.0)).items():
        at.query_params[name] = value  # what the browser's Back does
    settled(at)
    assert work(at).tray == clamped(8.0).tray
    at.button(key="tray_undo").click()
    settled(at)
    assert work(at).tray == ()


def test_a_click_wins_over_an_address_the_browser_has_not_updated_yet():
    """Two quick clicks: the second arrives with the address from before the first."""
    at = visit("status", query(clamped(8.0, 9.0)))
    at.button(key="clamp_0_remove").click()
    settled(at)
    for name, value in to_query(clamped(8.0, 9.0)).items():
        at.query_params[name] = value
    at.button(key="clamp_0_remove").click()
    settled(at)
    assert work(at).tray == ()
    assert address(at) == {}


def test_a_state_too_long_for_an_address_stays_in_the_tab():
    long = Workspace(prompt="word " * 3_000)
    at = visit("status")
    at.session_state["_workspace"] = long
    at.session_state["_touched"] = True
    settled(at)
    short = address(at)
    assert set(short) == {"kept"}
    at.switch_page(str(fake.ROOT / "pages/steer.py"))
    for name, value in short.items():
        at.query_params[name] = value
    settled(at)
    assert work(at).prompt == long.prompt
    assert any("browsers take " + str(MAX_LINK) in note for note in notes(at))


def test_the_workspace_crosses_pages_and_menu_links_carry_it():
    at = visit("status", query(FULL))
    links = at.get("page_link")
    shown = {link.proto.page: link.proto.query_string for link in links}
    assert len(shown) == len(MENU)
    assert len(set(shown.values())) == 1
    assert "layer=3" in next(iter(shown.values()))


# --- models --------------------------------------------------------------------------------


def test_the_picker_says_the_size_of_the_model():
    at = visit("status")
    labels = [block.proto.popover.label for block in at.get("popover")]
    assert any("`embedded` 8×192 · llama" in label for label in labels)
    assert "8 layers, 6 heads, width 192, 6.89 M parameters" in texts(at)


def load(at: AppTest, name: str, slot: str = "A") -> AppTest:
    at.text_input(key=f"pick_{slot}_name").set_value(name)
    at.button(key=f"FormSubmitter:pick_{slot}_form-Load").click()
    return settled(at)


def test_a_model_takes_its_slot_once_it_has_loaded_and_is_recent_then():
    at = load(visit("status"), "/models/mine")
    assert work(at).models == (ModelRef("/models/mine"),)
    assert address(at) == {"model": "/models/mine"}
    assert recent.models() == (ModelRef("/models/mine"),)


def test_a_model_that_cannot_be_loaded_is_one_sentence_and_the_old_one_stays():
    at = load(visit("status"), "/missing/folder")
    assert work(at) == Workspace()
    assert len(notes(at)) == 1
    assert "no folder" in notes(at)[0]
    assert recent.models() == ()


def test_a_second_model_can_be_had_and_dropped():
    at = load(visit("status"), "/models/other", slot="B")
    assert [model.name for model in work(at).models] == ["embedded", "/models/other"]
    at.button(key="drop_1").click()
    settled(at)
    assert work(at) == Workspace()


def test_hosted_mode_offers_no_folders(monkeypatch):
    monkeypatch.setenv("EIDOSCOPE_HOSTED", "1")
    at = visit("status")
    assert "embedded models only" in texts(at)
    assert not [field for field in at.text_input if field.key == "pick_A_name"]


def test_the_card_shows_the_checks_by_letter_and_the_makers_words_as_plain_text():
    at = visit("status")
    at.button(key="card_0").click().run()
    assert not at.exception
    assert any("1.2e-07" in frame.value.to_string() for frame in at.dataframe)
    assert "![person]" in texts(at)
    assert not [m for m in at.markdown if "![person]" in m.value]


def test_the_name_of_a_model_is_never_read_as_markdown():
    at = visit("status", query(Workspace(models=(ModelRef("![i](http://127.0.0.1:9/x.png)"),))))
    said = [block.proto.popover.label for block in at.get("popover")]
    said += [element.value for element in at.markdown]
    assert any("![i]" in text or "x.png" in text for text in said)
    for text in said:
        assert "![i]" not in text.replace("`![i]", "")  # only inside a code span


# --- sharing -------------------------------------------------------------------------------


def upload(at: AppTest, content: bytes) -> AppTest:
    at.file_uploader(key="session_open").set_value(("s.json", content, "application/json"))
    return settled(at)


def test_a_session_file_brings_everything_and_undo_takes_the_clamps_back():
    at = upload(visit("status", query(clamped(3.0))), to_session(FULL).encode())
    assert work(at) == FULL
    at.button(key="tray_undo").click()
    settled(at)
    assert work(at).tray == clamped(3.0).tray


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe", "not UTF-8"),
        (b"{}", "not an Eidoscope session"),
        (b"[" * 100_000, "not JSON"),
        (json.dumps({"kind": "eidoscope-session", "version": 9}).encode(), "version 9"),
        (to_session(Workspace(prompt="half \ud800")).encode(), "lone surrogate"),
        (b" " * 2_000_001, "at most 2,000,000"),
    ],
    ids=["bytes", "empty", "deep", "version", "surrogate", "large"],
)
def test_a_bad_session_file_is_one_sentence_and_changes_nothing(content, said):
    at = upload(visit("status", query(FULL)), content)
    assert work(at) == FULL
    assert len(notes(at)) == 1
    assert said in notes(at)[0]


def test_the_link_to_copy_is_the_link_of_this_state():
    from core.spec.links import link

    at = visit("status", query(FULL))
    assert any(code.value.endswith(link("status", FULL)) for code in at.code)


def test_work_is_noted_as_recent_once_it_is_something_of_its_own():
    visit("steer")
    assert recent.work() == ()
    visit("steer", query(replace(FULL, models=Workspace().models)))
    (item,) = recent.work()
    assert item.page == "steer"
    assert "L1.neuron[17]" in item.title


# --- widgets show the workspace and never own it -------------------------------------------


def test_a_stale_value_from_the_browser_does_not_undo_a_change(monkeypatch):
    """A poll that left the browser before the new value arrived still carries the old one."""
    at = visit("steer", query(Workspace(selection=Selection(layer=2))))
    old = field(at, "work_selection_layer").proto.id
    field(at, "head_layer").set_value(5)  # shows in both fields
    settled(at)
    assert field(at, "work_selection_layer").value == 5
    states = at._tree.get_widget_states()
    stale = states.widgets.add()
    stale.id, stale.int_value = old, 2
    monkeypatch.setattr(at._tree, "get_widget_states", lambda: states)
    at.run()
    settled(at)
    assert work(at).selection.layer == 5
    assert address(at)["layer"] == "5"


def test_every_run_says_what_a_field_begins_with():
    # The browser may never hear of a run that is cut short: the next one has to say it again.
    at = visit("steer", query(FULL))
    at.run()
    assert field(at, "prompt").proto.default == FULL.prompt
    assert field(at, "clamp_0_value").proto.default == 8.5
    assert not field(at, "clamp_1_on").proto.default
    assert "set_value" not in {name.name for name, _ in field(at, "prompt").proto.ListFields()}
    field(at, "clamp_0_value").set_value(4.0)
    at.run()
    assert field(at, "clamp_0_value").value == work(at).tray[0].change.value == 4.0
