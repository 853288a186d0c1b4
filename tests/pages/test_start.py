"""The start page on a made-up engine."""

from urllib.parse import parse_qsl, urlencode

import pytest

from core import recent
from core.spec.interventions import Clamp
from core.spec.links import from_query, to_query, to_session
from core.spec.request import ModelRef
from core.spec.site import site
from core.spec.workspace import DEFAULT_PROMPT, TrayItem, Workspace
from pages.shared.sections.recents import ago
from pages.shared.sections.tours import TOURS
from tests.pages import fake
from tests.pages.fake import FakeEngine, notes, settled, texts, visit


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    return fake.install(monkeypatch)


def test_the_picture_is_the_lens_of_the_default_sentence_on_the_embedded_model(engine):
    at = visit("start", "?text=another&model=other")
    (request,) = engine.questions("lens")
    assert request.model == ModelRef("embedded")
    assert request.prompts == (DEFAULT_PROMPT,)
    assert len(at.get("plotly_chart")) == 1


def test_doors_tours_and_the_makers_words_are_there():
    at = visit("start")
    for words in ("Look at a concept", "Look at a model's parts", "Load my model", "Tours"):
        assert words in texts(at)
    assert any("A small model." in code.value for code in at.code)
    assert notes(at) == []


def test_every_tour_opens_in_exactly_the_state_it_promises():
    at = visit("start")
    links = [link.proto.query_string for link in at.get("page_link")]
    for tour in TOURS:
        query = urlencode(to_query(tour.work))
        assert query in links
        assert from_query(dict(parse_qsl(query))) == tour.work


def test_a_bad_link_opens_the_start_page_with_a_sentence():
    at = visit("start", "?w=9.later")
    assert "this Eidoscope reads 1" in notes(at)[0]
    assert len(at.get("plotly_chart")) == 1


def test_recent_work_is_opened_as_it_was():
    work = Workspace(prompt="mine", tray=(TrayItem(Clamp(site("L1.neuron[2]"), 3.0), unit=2.0),))
    recent.remember_work(recent.Work("tab", "steer", "mine <b>", 1.0, to_session(work)))
    at = visit("start")
    assert "mine <b>" in [text.value for text in at.text]
    at.button(key="recent_tab").click()
    settled(at)
    assert at.title[0].value == "Steer"
    assert at.session_state["_workspace"] == work


def test_damaged_recent_work_is_one_sentence():
    recent.remember_work(recent.Work("tab", "steer", "mine", 1.0, "{}"))
    at = visit("start")
    at.button(key="recent_tab").click()
    settled(at)
    assert at.title[0].value == "Start"
    assert len(notes(at)) == 1


def test_the_door_loads_a_model_into_slot_a():
    at = visit("start")
    at.text_input(key="door_name").set_value("/models/mine")
    at.button(key="FormSubmitter:door_form-Load").click()
    settled(at)
    assert at.session_state["_workspace"].models == (ModelRef("/models/mine"),)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(5, "just now"), (60, "1 minute ago"), (7_300, "2 hours ago"), (200_000, "2 days ago")],
)
def test_how_long_ago(seconds, words):
    assert ago(seconds) == words
