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
        Workspace(prompt="Max saw Lily near the lake. Then Max saw"),
    ),
    Tour(
        "Copying from before",
        "The name was said before. Find the heads without which the answer is lost, and see "
        "where they look: a weight alone would not tell.",
        Workspace(
            prompt="Ella met Sam near the tree. Then Ella met",
            selection=Selection(layer=4, head=4),
        ),
    ),
    Tour(
        "One feature, another verdict",
        "One feature of the dictionary of layer 2 is held at twice its largest value. Compare the "
        "text with the random control of equal norm before believing in the difference.",
        Workspace(
            prompt=(
                "Review of the film. The story was wonderful. The music was great. Overall, it was"
            ),
            selection=Selection(layer=2, feature=163),
            tray=(TrayItem(Clamp(site("L2.resid_post.feature[topk-L2:163]"), 14.4), unit=7.2),),
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
