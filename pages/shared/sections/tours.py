"""Prepared ways into Steer, on the embedded model."""

from dataclasses import dataclass

import streamlit as st

from core.spec.interventions import Clamp
from core.spec.links import to_query
from core.spec.site import site
from core.spec.workspace import Selection, TrayItem, Workspace

STEER = "pages/steer.py"


@dataclass(frozen=True, slots=True)
class Tour:
    """A prepared state of the Steer page, and what to look at in it."""

    title: str
    about: str
    work: Workspace


TOURS = (
    Tour(
        "When is the answer settled?",
        "The logit lens from the bottom row upwards: the layer from which on the first choice "
        "stays what the model says in the end.",
        Workspace(prompt="The opposite of big is"),
    ),
    Tour(
        "Copying from before",
        "The name was said before. Find the heads without which the answer is lost, and see "
        "where they look: a weight alone would not tell.",
        Workspace(
            prompt="Lily met Max in the park. Tom was sad. Lily met",
            selection=Selection(layer=4, head=2),
        ),
    ),
    Tour(
        "One neuron, another answer",
        "One neuron of layer 0 is held below zero. Compare the text with the random control of "
        "equal norm before believing in the difference.",
        Workspace(
            prompt="The opposite of big is",
            selection=Selection(neuron=435),
            tray=(TrayItem(Clamp(site("L0.neuron[435]"), -7.5)),),
        ),
    ),
)


def draw() -> None:
    """The tours side by side."""
    for column, tour in zip(st.columns(len(TOURS)), TOURS, strict=True):
        with column, st.container(border=True, height="stretch"):
            st.markdown(f"**{tour.title}**")
            st.caption(tour.about)
            st.page_link(
                STEER,
                label="Take this tour",
                icon=":material/arrow_forward:",
                query_params=to_query(tour.work),
            )
