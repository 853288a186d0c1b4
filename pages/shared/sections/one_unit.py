"""The clamp panel for the neuron or the head that is selected, opened by choice."""

import streamlit as st

from core.spec.request import Request
from core.spec.site import Site
from pages.shared import sides, state
from pages.shared.sections import clamping, heads
from pages.shared.sections.view import NEURONS, View

CLOSED = ""


def units(view: View) -> dict[str, Site]:
    """The selected units by name; no neuron before one is selected."""
    chosen = state.workspace().selection
    layer, head = heads.selected(view)
    found = {"head": Site(layer, "head", head, stack=view.stack)}
    if chosen.neuron is None or view.missing(NEURONS):
        return found
    return {"neuron": Site(layer, "neuron", chosen.neuron, stack=view.stack)} | found


def questions(view: View) -> dict[str, Request]:
    """What the open panel will ask, by key."""
    unit = units(view).get(state.workspace().choice("panel"))
    return clamping.questions(view, unit) if unit else {}


def draw(view: View, grace: float) -> None:
    """Which unit, and its panel; nothing but the choice while it is closed."""
    found = units(view)
    words = {CLOSED: "closed"} | {name: str(place) for name, place in found.items()}
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        name = state.chosen(
            st.segmented_control, "Clamp panel", list(words), name="panel",
            format_func=words.__getitem__, label_visibility="collapsed",
        )  # fmt: skip
        if "neuron" not in found and not view.missing(NEURONS) and sides.first():
            st.caption("Click a neuron in the list above to have it here.")
    if name in found:
        clamping.draw(view, found[name], grace)
