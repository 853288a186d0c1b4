"""Prepared ways into Steer, on the embedded model."""

from dataclasses import dataclass

import streamlit as st

from core.spec.interventions import Ablate
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
        Workspace(prompt="Once upon a time there was a little"),
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
        "One part less",
        "The MLP of layer 1 is ablated to its mean. Compare the text with the random control "
        "before believing in the difference.",
        Workspace(
            prompt="Yesterday Tom walked. Then",
            tray=(TrayItem(Ablate(site("L1.mlp_out"), "mean")),),
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
