"""Neurons: what every neuron means, which ones speak of a concept, and what clamping one does."""

import streamlit as st

from core.spec.site import Site
from pages.shared.frame import page
from pages.shared.notices import sentence
from pages.shared.sections import finding, neuron_card, prompt
from pages.shared.sections.reading import opened
from pages.shared.sections.view import NEURONS, Patience, View

PATIENCE = 0.9  # seconds one run waits for answers in all; what takes longer comes by itself


def draw(view: View, patience: Patience) -> None:
    finding.line()
    left, right = st.columns([6, 5], gap="medium")
    with left:
        found = finding.draw(view, patience.left())
    if found is None:
        return
    layer, neuron = neuron_card.selected(found)
    site = Site(layer, "neuron", neuron, stack=view.stack)
    with right:
        neuron_card.draw(view, site, found.z.shape[1], patience.left())


with page("neurons") as work:
    patience = Patience(PATIENCE)
    prompt.draw()
    if view := opened(work, patience):
        if why := view.missing(NEURONS):
            sentence(why, "info")
        else:
            draw(view, patience)
