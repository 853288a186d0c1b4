"""Neurons: what every neuron means, which ones speak of a concept, and what clamping one does."""

import streamlit as st

from core.spec.site import Site
from pages.shared.frame import page
from pages.shared.notices import sentence
from pages.shared.sections import (
    finding,
    neuron_card,
    neuron_columns,
    neuron_more,
    neuron_queries,
    prompt,
    unit_prompt,
)
from pages.shared.sections.beside import beside
from pages.shared.sections.differing import Asked
from pages.shared.sections.view import NEURONS, Patience, View

PATIENCE = 0.9  # seconds one run waits for answers in all; what takes longer comes by itself


def draw(view: View, patience: Patience) -> None:
    """Find a neuron on the left, read its card on the right, ask more about it below."""
    if why := view.missing(NEURONS):
        sentence(why, "info")
        return
    finding.line(view)
    left, right = st.columns([11, 10], gap="medium")
    with left:
        found = finding.draw(view, patience.left())
    if found is None:
        return
    layer, neuron = finding.selected(*found)
    site = Site(layer, "neuron", neuron, stack=view.stack)
    neuron_columns.ask_ahead(view, site)
    with right:
        neuron_card.draw(view, site, found[0].z.shape[1], patience.left())
    with left:
        unit_prompt.draw(view, site, neuron_card.measured(view, site), patience.left())
    neuron_more.draw(neuron_more.choice(view), view, site, patience)


DIFFER = (Asked("Neurons by their weights", "neuron_map", neuron_queries.whole, (NEURONS,)),)


with page("neurons") as work:
    patience = Patience(PATIENCE)
    prompt.draw()
    beside(work, patience, draw, rows=neuron_columns.rows(), differ=DIFFER, units=("neuron",))
