"""The Compare page with the real engine: sentences with doors, every question, what cannot be."""

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.spec.request import ModelRef
from core.spec.workspace import Workspace
from pages.shared.sections import compare_likeness
from pages.shared.sections.compare_texts import as_set
from tests.pages.fake import notes, query, settled, texts, visit, work

A, B, SMALL = "embedded", "embedded-tuned", "embedded-small"
STORIES = str(Path(__file__).parents[1] / "data" / "models" / "stories260k")
TEXTS = tuple(
    f"The {animal} is in the {room}."
    for animal in ("dog", "cat", "cow", "pig", "hen")
    for room in ("hall", "kitchen", "garden", "attic", "office")
)
pytestmark = pytest.mark.usefixtures("kept_answers")


def opened(
    *models: str, seconds: int = 120, own: tuple[str, ...] = TEXTS, **choices: str
) -> AppTest:
    state = Workspace(tuple(ModelRef(name) for name in models), own_set=as_set(own))
    for name, value in {"compared_on": "own", **choices}.items():
        state = state.with_choice(name, value)
    return settled(visit("compare", query(state), seconds=seconds), seconds)


def press(at: AppTest, label: str) -> AppTest:
    at.button[[b.label for b in at.button].index(label)].click()
    return settled(at, 120)


def test_one_model_is_offered_others_and_a_click_takes_one() -> None:
    at = opened(SMALL)
    assert "Choose model B" in texts(at)
    at = press(at, "with embedded-tuned")
    assert [str(model) for model in work(at).models] == [SMALL, B]


def test_the_summary_speaks_in_sentences_with_doors() -> None:
    at = opened(A, B)
    said = texts(at)
    assert "Most alike" in said
    assert "Least alike" in said
    assert "counterpart in B beyond random mixtures" in said
    assert "adding the mean shift at layer" in said
    assert "Another first choice at" in said
    assert notes(at) == []


@pytest.mark.parametrize("view", compare_likeness.WAYS)
def test_every_view_of_the_layers_is_drawn(view: str) -> None:
    at = opened(A, B, comparing="layers", viewed=view)
    assert len(at.get("plotly_chart")) == 1


def test_weights_of_unlike_shapes_have_no_distance_and_the_page_says_so() -> None:
    at = opened(A, SMALL, comparing="layers", viewed="distance")
    assert len(at.get("plotly_chart")) == 0
    assert any("distances of states are left out" in note for note in notes(at))


def test_counterparts_are_looked_for_at_a_button() -> None:
    at = opened(SMALL, STORIES, comparing="units", unit="head")
    assert len(at.get("plotly_chart")) == 0
    at = press(at, "Look for counterparts")
    assert len(at.get("plotly_chart")) == 1


def test_states_of_unlike_shapes_are_not_subtracted_and_the_page_says_why() -> None:
    at = opened(A, STORIES, comparing="shift")
    assert any("not of one architecture" in note for note in notes(at))


def test_what_changed_flips_and_carrying_are_drawn_at_their_buttons() -> None:
    for name, label in (
        ("shift", "Find the shift"),
        ("flips", "Look for texts they disagree on"),
        ("carry", "Carry it over"),
    ):
        at = press(opened(A, B, comparing=name), label)
        assert len(at.get("plotly_chart")) == 1, name
        assert not at.exception


def test_the_same_model_twice_is_said() -> None:
    at = opened(SMALL, SMALL, comparing="layers")
    assert any("same model twice" in note.lower() for note in notes(at))


def test_too_few_texts_are_a_sentence() -> None:
    at = opened(A, B, own=("one", "two"))
    assert any("2 texts" in note for note in notes(at))


def test_an_encoder_beside_a_decoder_is_compared_as_far_as_it_goes(
    tiny: Callable[[str], Path],
) -> None:
    bert = str(tiny("bert"))
    at = opened(SMALL, bert, comparing="layers")
    assert len(at.get("plotly_chart")) == 1
    at = press(opened(SMALL, bert, comparing="flips"), "Look for texts they disagree on")
    assert len(at.get("plotly_chart")) == 0
    assert len(notes(at)) >= 1


def test_a_model_that_cannot_be_loaded_is_one_sentence() -> None:
    at = opened(SMALL, "/no/such/model")
    assert sum("/no/such/model: " in note for note in notes(at)) == 1
    assert not at.exception
