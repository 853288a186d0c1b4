"""Neurons: what every neuron means, which ones speak of a concept, and what clamping one does."""

import streamlit as st

from core.spec.request import Request
from core.spec.site import Site
from pages.shared import state
from pages.shared.frame import page
from pages.shared.notices import sentence
from pages.shared.panels import asked
from pages.shared.sections import (
    clamping,
    concept_test,
    explanation,
    finding,
    groups,
    neuron_card,
    neuron_classes,
    neuron_match,
    neuron_plane,
    neuron_texts,
    prompt,
    unit_prompt,
)
from pages.shared.sections.reading import opened
from pages.shared.sections.view import GATES, NEURONS, Patience, View

PATIENCE = 0.9  # seconds one run waits for answers in all; what takes longer comes by itself
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


def ask_ahead(view: View, site: Site) -> None:
    """Ask about the neuron before anything is waited for: the card first, what is slow last.

    What is still being worked out about the neuron before is let go by this.
    """
    asked().ask("card", neuron_card.question(view, site))
    asked().ask("values", unit_prompt.question(view, site))
    neuron_card.measured(view, site)
    for key, request in slow(view, site).items():
        asked().ask(key, request)


def slow(view: View, site: Site) -> dict[str, Request]:
    """What the open tab will ask that does not give way by itself, by key."""
    match state.workspace().choice("about"):
        case "causes":
            return clamping.questions(view, site)
        case "explain" if claim := explanation.question(view, site):
            return {"claim": claim}
    return {}


def draw(view: View, patience: Patience) -> None:
    """Find a neuron on the left, read its card on the right, ask more about it below."""
    finding.line(view)
    left, right = st.columns([11, 10], gap="medium")
    with left:
        found = finding.draw(view, patience.left())
    if found is None:
        return
    layer, neuron = finding.selected(*found)
    site = Site(layer, "neuron", neuron, stack=view.stack)
    ask_ahead(view, site)
    with right:
        neuron_card.draw(view, site, found[0].z.shape[1], patience.left())
    with left:
        unit_prompt.draw(view, site, neuron_card.measured(view, site), patience.left())
    words = ABOUT | ({"plane": "Its input"} if view.missing(GATES) else {})
    about = state.chosen(
        st.segmented_control, "More about it", list(words), name="about",
        format_func=words.__getitem__, label_visibility="collapsed",
    )  # fmt: skip
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
        case "models":
            neuron_match.draw(view, patience.left())


with page("neurons") as work:
    patience = Patience(PATIENCE)
    prompt.draw()
    if view := opened(work, patience):
        if why := view.missing(NEURONS):
            sentence(why, "info")
        else:
            draw(view, patience)
