"""Sections about claims and groups of neurons: what they ask, what they show, on made-up answers
and on the embedded model.
"""

from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core.home import EMBEDDED
from core.results.base import Result
from core.spec.request import ModelRef, Request
from core.spec.workspace import Workspace
from tests.pages import claim_samples, fake
from tests.pages.fake import FakeEngine, field, htmls, notes, settled, texts, work
from tests.pages.samples import HOSTILE

PAGE = Path(__file__).with_name("claim_page.py")
ANSWERS = {result.name: result for result in reversed(claim_samples.every())}
HOSTILE_ANSWERS = {result.name: result for result in claim_samples.hostile(HOSTILE)}
SMALL = "embedded-small"


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    made = fake.install(monkeypatch)
    plain = made._made_up

    def answer(request: Request) -> Result:
        known = HOSTILE_ANSWERS if made.hostile else ANSWERS
        return known.get(request.analysis) or plain(request)

    monkeypatch.setattr(made, "_made_up", answer)
    return made


def opened(section: str, **choices: str) -> AppTest:
    at = AppTest.from_file(str(PAGE), default_timeout=60)
    at.session_state["section"] = section
    start = Workspace(models=(ModelRef(SMALL),))
    for name, value in choices.items():
        start = start.with_choice(name, value)
    for name, value in parse(start).items():
        at.query_params[name] = value
    return settled(at.run(), seconds=90)


def parse(start: Workspace) -> dict[str, str]:
    from core.spec.links import to_query

    return to_query(start)


# --- a claim -------------------------------------------------------------------------------


def test_without_a_claim_nothing_is_asked_and_it_is_said_what_to_do(engine) -> None:
    at = opened("explanation")
    assert engine.questions("explain_test") == []
    assert "Say what this neuron is about" in texts(at)


def test_a_built_in_claim_is_asked_with_its_strings(engine) -> None:
    at = opened("explanation", claim="day")
    (asked,) = engine.questions("explain_test")
    assert asked.option("at") == "L2.neuron[7]"
    assert "Monday" in asked.option("members")
    assert "May" not in asked.option("members")
    assert all("{}" in line for line in asked.option("carriers"))
    assert len(at.get("plotly_chart")) == 1
    assert "Misses" in texts(at)


def test_strings_of_ones_own_make_a_claim_of_ones_own(engine) -> None:
    at = opened("explanation", claim="made up")
    assert engine.questions("explain_test") == []
    assert "Strings of your own" in texts(at)
    at.text_area(key="claim_members_made up").set_value("a, b\nc\n d ")
    at.text_area(key="claim_others_made up").set_value("e\nf\ng\nh")
    at.button(key="FormSubmitter:claim_form-Test these").click()
    settled(at)
    (asked,) = engine.questions("explain_test")
    assert asked.option("members") == ("a", "b", "c", "d")
    assert asked.option("others") == ("e", "f", "g", "h")
    assert asked.option("explanation") == "made up"


def test_a_failing_claim_says_so_in_words(engine, monkeypatch) -> None:
    monkeypatch.setitem(ANSWERS, "explain_test", claim_samples.explain_test(weak=True))
    assert "The claim fails" in texts(opened("explanation", claim="day"))


def test_a_better_neuron_is_selected_by_its_button(engine) -> None:
    at = opened("explanation", claim="day")
    at.button(key="better_9").click()
    settled(at)
    assert (work(at).selection.layer, work(at).selection.neuron) == (2, 9)


def test_the_claim_and_its_view_stand_in_the_link(engine) -> None:
    at = opened("explanation", claim="day", claimed="strings")
    assert work(at).choice("claim") == "day"
    field(at, "claim_name").set_value("animal")
    settled(at)
    assert work(at).choice("claim") == "animal"
    assert engine.questions("explain_test")[-1].option("explanation") == "animal"


# --- a subject -----------------------------------------------------------------------------


def test_a_subject_is_asked_with_its_questions_and_shown_with_its_answers(engine) -> None:
    at = opened("concept", subject="city")
    (asked,) = engine.questions("concept_neuron")
    assert "Paris" in asked.option("words")
    assert any("capital" in text for text in asked.option("questions"))
    assert not any("capital" in text for text in asked.option("controls"))
    assert len(at.get("plotly_chart")) == 1
    assert len(at.dataframe) == 1
    at.button(key="subject_1_3").click()
    settled(at)
    assert (work(at).selection.layer, work(at).selection.neuron) == (1, 3)


def test_a_subject_of_ones_own_needs_words_and_questions(engine) -> None:
    at = opened("concept", subject="made up")
    assert engine.questions("concept_neuron") == []
    for name in ("words", "questions", "controls"):
        at.text_area(key=f"subject_{name}_made up").set_value("a\nb\nc")
    at.button(key="FormSubmitter:subject_form-Find and test").click()
    settled(at)
    (asked,) = engine.questions("concept_neuron")
    assert asked.option("controls") == ("a", "b", "c")


# --- groups --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("group", "analysis"),
    [
        ("spot", "task_spot"),
        ("shared", "shared_neurons"),
        ("core", "core_neurons"),
        ("kinds", "domain_neurons"),
    ],
)
def test_a_group_is_asked_when_find_is_pressed_and_not_before(engine, group, analysis) -> None:
    at = opened("groups", group=group)
    assert engine.questions(analysis) == []
    assert "Press Find" in texts(at)
    at.button(key=f"FormSubmitter:group_{group}-Find").click()
    settled(at)
    (asked,) = engine.questions(analysis)
    assert len(at.get("plotly_chart")) == 1
    assert len(at.dataframe) == 1
    assert notes(at) == []
    if group in ("shared", "kinds"):
        assert [name for name, _ in asked.option("groups")][:2] == ["calendar", "geography"]
    if group == "core":
        assert asked.prompts == (work(at).prompt,)
    if group == "spot":
        assert asked.option("share") == 0.005
        assert asked.option("names") == ("code", "stories and geography")


def test_a_kind_of_ones_own_is_one_more_group(engine) -> None:
    at = opened("groups", group="kinds")
    at.text_input(key="group_kinds_own").set_value("mine")
    at.text_area(key="group_kinds_texts").set_value("one text\n\nanother text")
    at.button(key="FormSubmitter:group_kinds-Find").click()
    settled(at)
    asked = engine.questions("domain_neurons")[-1]
    assert asked.option("groups")[-1] == ("mine", ("one text", "another text"))


@pytest.mark.parametrize("group", ["spot", "shared", "core", "kinds"])
def test_hostile_names_reach_the_page_escaped(engine, group) -> None:
    engine.hostile = True
    at = opened("groups", group=group)
    at.button(key=f"FormSubmitter:group_{group}-Find").click()
    settled(at)
    everything = "\n".join([*htmls(at), *(m.value for m in at.markdown)])
    assert "<script>alert" not in everything
    assert "<img src" not in everything


@pytest.mark.parametrize(("section", "choice"), [("explanation", "claim"), ("concept", "subject")])
def test_a_hostile_claim_reaches_the_page_escaped(engine, section, choice) -> None:
    engine.hostile = True
    for name in ("day", "<img src=x onerror=alert(1)>"):
        at = opened(section, **{choice: name})
        everything = "\n".join([*htmls(at), *(m.value for m in at.markdown)])
        assert "<script>alert" not in everything
        assert "<img src" not in everything


# --- the real engine -----------------------------------------------------------------------


@pytest.fixture
def real() -> None:
    if not (EMBEDDED / SMALL / "config.json").exists():
        pytest.skip(f"assets/models/{SMALL} is not built")
    st.cache_resource.clear()  # every visitor of a test run has the same session id


@pytest.mark.parametrize(
    ("section", "choices"),
    [("explanation", {"claim": "day"}), ("concept", {"subject": "day"})],
)
def test_claims_are_tested_by_the_real_engine(real, section, choices) -> None:
    at = opened(section, **choices)
    assert [note for note in notes(at) if "eido-error" in note] == []
    assert len(at.get("plotly_chart")) == 1
    assert "control" in texts(at)


def test_groups_are_found_by_the_real_engine(real) -> None:
    at = opened("groups", group="shared")
    at.multiselect(key="group_shared_kinds").set_value(["calendar", "code"])
    at.button(key="FormSubmitter:group_shared-Find").click()
    settled(at, seconds=90)
    assert notes(at) == []
    assert len(at.get("plotly_chart")) == 1
