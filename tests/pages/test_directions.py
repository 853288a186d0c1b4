"""The Directions page on a made-up engine: what it asks, what it shows, what goes into the tray."""

from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from core.spec.concept import Concept, from_plain
from core.spec.interventions import Add, Erase, Project
from core.spec.request import ModelRef
from core.spec.workspace import Workspace
from tests.pages import direction_samples, fake
from tests.pages.fake import FakeEngine, field, notes, query, settled, texts, visit, work

NEW = ("direction", "guide", "remove", "erase", "edited")


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    return fake.install(monkeypatch)


def opened(**choices: str) -> AppTest:
    state = Workspace()
    for name, value in choices.items():
        state = state.with_choice(name, value)
    return visit("directions", query(state))


def begin(at: AppTest, key: str) -> AppTest:
    at.button(key=f"{key}_begin").click()
    return settled(at)


def asked(engine: FakeEngine) -> set[str]:
    return {request.analysis for request in engine.asked} & set(NEW)


def test_a_stranger_sees_a_concept_its_curve_and_what_holds(engine: FakeEngine) -> None:
    at = opened()
    (request,) = engine.questions("direction")
    assert dict(request.options) == {
        "concept": "gender", "method": "difference", "position": "last", "seed": 0
    }  # fmt: skip
    assert len(at.get("plotly_chart")) == 5
    assert asked(engine) == {"direction"}
    assert "L7.resid_post" in texts(at)
    assert notes(at) == []


def test_long_questions_wait_for_a_button_and_stay_begun(engine: FakeEngine) -> None:
    for further in ("guide", "remove", "erase"):
        at = opened(further=further)
        assert engine.questions(further) == []
        begin(at, further)
        assert len(engine.questions(further)) == 1
        settled(at)
        assert len(engine.questions(further)) == 1


def test_another_concept_method_and_state_make_another_question(engine: FakeEngine) -> None:
    at = opened()
    field(at, "choice_concept").set_value("sentiment")
    settled(at)
    field(at, "choice_method").set_value("lda")
    settled(at)
    field(at, "choice_read").set_value("mean")
    settled(at)
    last = dict(engine.questions("direction")[-1].options)
    assert (last["concept"], last["method"], last["position"]) == ("sentiment", "lda", "mean")
    assert fake.address(at) == {"concept": "sentiment", "method": "lda", "read": "mean"}


def test_own_texts_become_the_concept_and_travel_in_the_address(engine: FakeEngine) -> None:
    at = opened()
    at.text_area(key="own_positive").set_value("a dog\n\n the cat ")
    at.text_area(key="own_negative").set_value("a car\na bus")
    at.text_input(key="own_name").set_value("animals <b>")
    at.checkbox(key="own_paired").set_value(True)
    at.button[[b.label for b in at.button].index("Use these texts")].click()
    settled(at)
    own = Concept("animals <b>", ("a dog", "the cat"), ("a car", "a bus"), paired=True)
    assert work(at).own == own
    assert from_plain(engine.questions("direction")[-1].option("concept")) == own
    again = visit("directions", query(work(at)))
    assert work(again).own == own
    assert len(engine.questions("direction")) == 2  # the built-in one, then this


def test_bad_own_texts_are_one_sentence_and_change_nothing(engine: FakeEngine) -> None:
    at = opened()
    at.text_area(key="own_positive").set_value("a dog\na dog")
    at.button[[b.label for b in at.button].index("Use these texts")].click()
    settled(at)
    assert any("stands twice" in note for note in notes(at))
    assert work(at).own is None


def test_without_own_texts_the_page_teaches(engine: FakeEngine) -> None:
    at = opened(concept="")
    assert asked(engine) == set()
    assert any("at least two a side" in note for note in notes(at))


def test_pushing_puts_a_short_direction_into_the_tray_in_mean_lengths(engine: FakeEngine) -> None:
    at = opened(push="0.5", at="3")
    at.button(key="tray_push").click()
    settled(at)
    (item,) = work(at).tray
    result = direction_samples.direction()
    assert isinstance(item.change, Add)
    assert str(item.change.site) == "L3.resid_post"
    assert item.change.coefficient == pytest.approx(0.5 * float(result.mean_norm[3]), rel=1e-5)
    assert item.unit == pytest.approx(float(result.mean_norm[3]))
    assert max(len(repr(number)) for number in item.change.direction) <= 14
    at.button(key="tray_take out").click()
    settled(at)
    assert [type(one.change) for one in work(at).tray] == [Add, Project]
    assert "kept" not in query(work(at))


def test_the_best_layer_is_shown_until_another_is_chosen(engine: FakeEngine) -> None:
    at = opened()
    assert field(at, "direction_layer").value == 7
    field(at, "direction_layer").set_value(2)
    settled(at)
    assert work(at).choice("at") == "2"
    assert "L2.resid_post" in texts(at)
    assert field(opened(at="99"), "direction_layer").value == 7


@pytest.mark.parametrize(
    ("method", "says"),
    [("token", "Which token?"), ("neuron", "Which neuron?"), ("given", "Open a file"),
     ("shift", "Choose model B")],
)  # fmt: skip
def test_a_method_that_needs_more_says_what(engine: FakeEngine, method: str, says: str) -> None:
    at = opened(method=method)
    assert asked(engine) == set()
    assert any(says in note for note in notes(at))


def test_a_token_and_a_second_model_go_into_the_question(engine: FakeEngine) -> None:
    opened(method="token", like=" she")
    assert engine.questions("direction")[-1].option("token") == " she"
    two = replace(Workspace(), models=(ModelRef("embedded"), ModelRef("embedded-small")))
    visit("directions", query(two.with_choice("method", "shift")))
    last = dict(engine.questions("direction")[-1].options)
    assert last["other"] == "embedded-small"
    assert "method" not in last


def test_guided_texts_are_read_cell_by_cell_and_one_goes_into_the_tray(engine: FakeEngine) -> None:
    at = begin(opened(further="guide", judged="he, his ,"), "guide")
    assert engine.questions("guide")[0].option("words") == ("he", "his")
    row, _ = direction_samples.guide().best
    assert f"Texts at layer {row}" in texts(at)
    at.button(key="guide_tray").click()
    settled(at)
    (item,) = work(at).tray
    assert isinstance(item.change, Add)
    assert item.change.site.layer == row


def test_a_removal_is_reported_and_exported_under_a_name(engine: FakeEngine) -> None:
    at = begin(opened(further="remove", watched="he,his"), "remove")
    assert engine.questions("remove")[0].option("tokens") == ("he", "his")
    assert "the neutral sentences that change most" in texts(at)
    at.text_input(key="edited_name").set_value("my edit")
    settled(at)
    begin(at, "edited")
    (request,) = engine.questions("edited")
    assert request.option("folder") == "my edit"
    assert {str(c.site) for c in request.interventions} == set(direction_samples.remove().sites)
    assert "REPORT.md" in texts(at)
    at.button(key="remove_tray").click()
    settled(at)
    assert isinstance(work(at).tray[0].change, Project)


def test_an_erasure_goes_into_the_tray_one_eraser_a_layer(engine: FakeEngine) -> None:
    at = begin(opened(further="erase"), "erase")
    at.button(key="erase_tray").click()
    settled(at)
    assert [type(item.change) for item in work(at).tray] == [Erase] * 6


def test_a_model_that_writes_no_text_is_not_guided_but_has_directions(engine: FakeEngine) -> None:
    engine.card = fake.card("encoder", (("generated text", "an encoder fills masks"),))
    at = opened(further="guide")
    assert asked(engine) == {"direction"}
    assert any("an encoder fills masks" in note for note in notes(at))


@pytest.mark.parametrize("further", ["made", "guide", "remove", "erase", "files"])
def test_hostile_texts_are_shown_as_they_are(engine: FakeEngine, further: str) -> None:
    engine.hostile = True
    at = opened(further=further)
    if further in ("guide", "remove", "erase"):
        begin(at, further)
    said = texts(at)
    assert "<script>" not in said
    assert "<img src=x" not in said


def test_directions_are_offered_as_files(engine: FakeEngine) -> None:
    at = opened(further="files")
    names = [str(element.proto.label) for element in at.get("download_button")]
    assert {"directions.safetensors", "directions.json"} <= set(names)
