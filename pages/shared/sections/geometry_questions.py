"""The questions the geometry page answers: one row each, with the sets of concepts that fit."""

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from core.spec.request import ModelRef
from core.spec.workspace import Workspace
from pages.shared import sides, state, tray
from pages.shared.sections import (
    concept_set,
    geometry_categories,
    geometry_circle,
    geometry_described,
    geometry_directions,
    geometry_features,
    geometry_forms,
    geometry_graph,
    geometry_local_map,
    geometry_map,
    geometry_relations,
    geometry_separability,
    geometry_spectrum,
    geometry_topics,
    geometry_trajectories,
    geometry_words,
)
from pages.shared.sections.beside import over_models
from pages.shared.sections.concept_set import Chosen
from pages.shared.sections.counterpart import EACH
from pages.shared.sections.view import Patience

MORE = "more"


@dataclass(frozen=True, slots=True)
class Question:
    """One question: its name on the switch, the kinds of sets it takes, and what draws it.

    kinds  () for a question that is not about a set of concepts; then `draw(model, patience)`
    """

    title: str
    kinds: tuple[str, ...]
    draw: Callable[..., None]
    more: bool = False
    clamped: bool = False  # do the clamps act in it?


QUESTIONS: dict[str, Question] = {
    "map": Question("Map", concept_set.ANY, geometry_map.draw),
    "directions": Question("Directions", ("pairs",), geometry_directions.draw),
    "categories": Question("Categories", ("categories",), geometry_categories.draw),
    "circle": Question("Circle", ("cycle", "line"), geometry_circle.draw),
    "relations": Question("Relations", ("pairs",), geometry_relations.draw),
    "dimensions": Question("Dimensions", (), geometry_spectrum.draw),
    "trajectories": Question("Paths of tokens", (), geometry_trajectories.draw, True, True),
    "local_map": Question("What each token adds, exactly", (), geometry_local_map.draw, more=True),
    "graph": Question("Structure from context", (), geometry_graph.draw, more=True),
    "forms": Question("Forms of one meaning", (), geometry_forms.draw, more=True),
    "words": Question(
        "Words of several tokens", ("categories", "pairs"), geometry_words.draw, more=True
    ),
    "topics": Question("Topics", ("categories",), geometry_topics.draw, more=True),
    "described": Question("From description to word", (), geometry_described.draw, more=True),
    "features": Question("Figures of features", (), geometry_features.draw, more=True),
    "separability": Question(
        "Where classes come apart", ("categories", "pairs"), geometry_separability.draw, more=True
    ),
}


def choose() -> str:
    """The question that is chosen, on two lines of buttons: the usual ones, and more."""
    first = {name: one.title for name, one in QUESTIONS.items() if not one.more}
    others = {name: one.title for name, one in QUESTIONS.items() if one.more}
    if others:
        first[MORE] = "More"
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = state.chosen(
            st.segmented_control, "Question", list(first), name="geometry",
            format_func=first.__getitem__, label_visibility="collapsed",
        )  # fmt: skip
        if name == MORE:
            name = state.chosen(
                st.selectbox, "More questions", list(others), name="furthest",
                format_func=others.__getitem__, label_visibility="collapsed", width=330,
            )  # fmt: skip
    return name if name in QUESTIONS else next(iter(QUESTIONS))


def draw(name: str, work: Workspace, patience: Patience) -> None:
    """The set of concepts where the question is about one, then every model's answer."""
    question = QUESTIONS[name]
    if not question.clamped:
        tray.set_aside()
    given: Chosen | None = None
    if question.kinds:
        given = concept_set.draw(work.models[0], question.kinds)
        if given is None:
            return

    def answered(model: ModelRef) -> None:
        own = patience if sides.first() else Patience(EACH)
        if given is None:
            question.draw(model, own)
        else:
            question.draw(model, given, own)

    over_models(work, answered)
