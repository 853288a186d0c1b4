"""Which earlier heads a head reads, by the weights: all pairs, or single channels."""

import streamlit as st

from core.figures import head_composition as drawing
from core.results.head_composition import KINDS, HeadComposition
from core.spec.request import Request, ask
from pages.shared import state
from pages.shared.panels import answer, panel
from pages.shared.sections.drawn import drawn
from pages.shared.sections.view import View, as_code

HELP = (
    "How strongly every later head could read what every earlier head writes: with its queries, "
    "keys or values; the control is random factors of equal size. This is about weights: a strong "
    "pair can still do nothing on a text. Channels: of everything the earlier head writes, one "
    "direction at a time; number 1 is its strongest, as in the table of channels of the head."
)
VIEWS = {"pairs": "pairs of heads", "channels": "channels"}


def question(view: View) -> Request:
    return ask("head_composition", view.model, seed=view.seed, stack=view.stack)


def draw(view: View, grace: float) -> None:
    kind = state.chosen(
        st.segmented_control, "Read with", list(KINDS), name="through",
        format_func=KINDS.__getitem__,
    )  # fmt: skip
    shown = state.chosen(
        st.segmented_control, "Shown as", list(VIEWS), name="shown",
        format_func=VIEWS.__getitem__, label_visibility="collapsed",
    )  # fmt: skip
    request = question(view)
    found = answer(request, key="composition", grace=grace, height=320)
    if isinstance(found, HeadComposition):
        panel(
            found,
            drawn(drawing.figure, found, kind=kind, view=shown),
            key="composition",
            title="Which heads read which",
            help=HELP,
            caption=drawing.caption(found),
            python=as_code(request),
        )
