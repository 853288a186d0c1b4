"""More about the chosen neuron: what is asked is chosen by name."""

import streamlit as st

from core.spec.site import Site
from pages.shared import sides, state
from pages.shared.sections import (
    clamping,
    concept_test,
    explanation,
    groups,
    neuron_classes,
    neuron_match,
    neuron_plane,
    neuron_texts,
)
from pages.shared.sections.view import GATES, Patience, View

ABOUT = {
    "neuron": "When it fires",
    "causes": "What it causes",
    "plane": "Gate and up",
    "explain": "Test a claim",
    "concept": "Concept neurons",
    "groups": "Groups",
    "classes": "Classes over depth",
    "models": "Two models",
}


def choice(view: View) -> str:
    """What is asked about the neuron."""
    words = ABOUT | ({"plane": "Its input"} if view.missing(GATES) else {})
    return state.chosen(
        st.segmented_control, "More about it", list(words), name="about",
        format_func=words.__getitem__, label_visibility="collapsed",
    )  # fmt: skip


def draw(about: str, view: View, site: Site, patience: Patience) -> None:
    """The answer to what is asked about the neuron."""
    match about:
        case "neuron":
            neuron_texts.draw(view, site, patience.left())
        case "causes":
            clamping.draw(view, site, patience.left())
        case "plane":
            neuron_plane.draw(view, site, patience.left())
        case "explain":
            explanation.draw(view, site, patience.left())
        case "concept":
            concept_test.draw(view, patience.left())
        case "groups":
            groups.draw(view, patience.left())
        case "classes":
            neuron_classes.draw(view, site, patience.left())
        case "models" if sides.first():  # it is about both
            neuron_match.draw(view, patience.left())
