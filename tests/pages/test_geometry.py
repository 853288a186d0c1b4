"""Geometry's questions about a set of concepts, with the real engine: drawn, chosen, refused."""

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.spec.concept_set import ConceptSet, Group
from core.spec.request import ModelRef
from core.spec.workspace import Workspace
from pages.shared.sections import (
    geometry_categories,
    geometry_circle,
    geometry_directions,
    geometry_map,
    geometry_relations,
    geometry_separability,
)
from tests.pages.fake import notes, query, settled, texts, visit, work

SMALL = "embedded-small"
pytestmark = pytest.mark.usefixtures("kept_answers")

PETS = ConceptSet(
    "<b>pets</b>",
    "categories",
    (Group("pet", ("dog", "cat", "horse", "cow")), Group("room", ("kitchen", "hall", "attic"))),
)


def opened(
    question: str, *models: str, own: ConceptSet | None = None, seconds: int = 90, **choices: str
) -> AppTest:
    state = Workspace(tuple(ModelRef(name) for name in models or (SMALL,)), own_set=own)
    more = question not in ("map", "directions", "categories", "circle", "relations", "dimensions")
    chosen = {"geometry": "more", "furthest": question} if more else {"geometry": question}
    if own is not None:
        chosen["concepts"] = ""
    for name, value in {**chosen, **choices}.items():
        state = state.with_choice(name, value)
    return settled(visit("geometry", query(state), seconds=seconds), seconds)


def drawn(at: AppTest) -> int:
    return len(at.get("plotly_chart"))


@pytest.mark.parametrize(
    ("question", "view"),
    [
        *(("map", view) for view in geometry_map.WAYS),
        *(("circle", view) for view in geometry_circle.WAYS if view != "moved"),
        *(("relations", view) for view in geometry_relations.WAYS),
        *(("categories", view) for view in geometry_categories.WAYS if view != "layers"),
        *(("directions", view) for view in geometry_directions.FOUND),
        *(("directions", view) for view in geometry_directions.PUSHED),
        *(("separability", view) for view in geometry_separability.WAYS),
        ("dimensions", "depth"),
        ("dimensions", "eigenvalues"),
        ("forms", "layers"),
        ("words", "words"),
        ("words", "steps"),
        ("topics", "heads"),
    ],
)
def test_every_view_is_drawn(question: str, view: str) -> None:
    at = opened(question, viewed=view)
    assert notes(at) == []
    assert drawn(at) == 1


def test_states_of_words_have_a_depth_of_their_own() -> None:
    at = opened("categories", viewed="layers", side="states", row="3")
    assert notes(at) == []
    assert drawn(at) == 1
    assert drawn(opened("directions", viewed="scores", side="states", row="2")) == 1


def test_a_question_brings_the_set_that_fits_and_leaves_the_chosen_one_alone() -> None:
    at = opened("circle", concepts="embedded: geography")
    assert "embedded: days" in texts(at)
    assert work(at).choice("concepts") == "embedded: geography"


def test_own_words_are_shown_as_text_and_never_as_markup() -> None:
    at = opened("map", own=PETS)
    assert notes(at) == []
    assert drawn(at) == 1
    assert "<b>pets</b>" not in texts(at)
    assert "&lt;b&gt;pets&lt;/b&gt;" in texts(at)


@pytest.mark.parametrize(
    ("question", "own", "said"),
    [
        ("map", ConceptSet("one", "categories", (Group("one", ("dog",)),)), "at least two"),
        ("circle", ConceptSet("few", "cycle", (Group("few", ("dog", "cat")),)), "few"),
        ("words", ConceptSet("one", "categories", (Group("one", ("dog", "cat")),)), "two groups"),
        ("categories", ConceptSet("w", "categories", (Group("w", ("dog", "cat")),)), "words"),
    ],
)
def test_too_little_is_a_sentence(question: str, own: ConceptSet, said: str) -> None:
    at = opened(question, own=own)
    assert drawn(at) == 0
    assert len(notes(at)) == 1
    assert said in notes(at)[0]


@pytest.mark.parametrize("family", ["bert", "t5", "gpt2"])
@pytest.mark.parametrize(
    "question", ["map", "directions", "categories", "circle", "relations", "dimensions", "topics"]
)
def test_any_family_draws_or_says_why_not(
    family: str, question: str, tiny: Callable[[str], Path]
) -> None:
    at = opened(question, str(tiny(family)), concepts="weekdays" if question == "circle" else "x")
    assert drawn(at) + len(notes(at)) >= 1
    assert not at.exception


def test_two_models_stand_beside_each_other_and_controls_stand_once() -> None:
    at = opened("circle", SMALL, "embedded")
    assert notes(at) == []
    assert drawn(at) == 2
    labels = [one.label for one in at.selectbox]
    assert labels.count("Concepts") == 1
