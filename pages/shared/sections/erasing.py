"""Erase it: LEACE at every layer, what probes still read, and what each way of erasing costs."""

import streamlit as st

from core.figures import erase as drawing
from core.results.erase import EraseResult
from core.spec.concept import Concept
from core.spec.request import ModelRef, Request, ask
from core.spec.workspace import MAX_CLAMPS
from pages.shared import sides, state, tray
from pages.shared.clicks import pickable_chart
from pages.shared.panels import panel
from pages.shared.sections.begun import begun
from pages.shared.sections.concept import option
from pages.shared.sections.drawn import drawn
from pages.shared.sections.framed import framed
from pages.shared.sections.view import as_code

HELP = (
    "LEACE moves every state as little as possible so that no linear classifier can tell the two "
    "sides apart, layer after layer, each fitted with the layers below already erased. Solid: "
    "before, dotted: after. A linear probe must fall to chance; a small network usually finds "
    "something still, since the guarantee is linear. “New linear probe” is trained on held-out "
    "items, which the eraser has not seen: with few items it may still read the concept."
)
COSTS = (
    "Every way of erasing on the same layers: what a linear probe still reads (down is better) "
    "against the loss it costs on neutral text (left is better). Taking out the mean difference "
    "erases two classes as well, but moves more; INLP takes ten directions a layer; random "
    "directions are the control."
)
TEACH = (
    "The concept is erased at every layer in sequence, with three other ways beside it, and probes "
    "are trained before and after. Some seconds on the embedded model."
)


def question(model: ModelRef, concept: Concept) -> Request:
    work = state.workspace()
    return ask(
        "erase", model, concept=option(concept), position=work.choice("read"), seed=work.seed
    )


def draw(model: ModelRef, concept: Concept, grace: float) -> None:
    """The report of one erasure."""
    request = question(model, concept)
    found = begun(request, key="erase", label="Erase it at every layer", teach=TEACH, grace=grace)
    if not isinstance(found, EraseResult):
        return
    left, right = sides.columns([3, 2], gap="medium")
    with left:
        panel(
            found,
            drawn(drawing.figure, found),
            key="erase",
            title="What can still be read",
            help=HELP,
            caption=drawing.caption(found),
            python=as_code(request),
        )
    with right, framed("What it costs", COSTS, key="erase_costs"):
        pickable_chart(drawn(drawing.costs, found), key="erase_costs_chart",
                       label="What it costs", on_pick=None)  # fmt: skip
    if not sides.first():
        return
    room = MAX_CLAMPS - len(state.workspace().tray)
    changes = found.changes()
    st.button(
        "+ erase it on every page",
        key="erase_tray",
        disabled=not changes or len(changes) > room,
        help=f"Puts {len(changes)} erasers into the clamps, one a layer.",
        on_click=state.attempt,
        args=(_into_tray, found),
    )


def _into_tray(found: EraseResult) -> None:
    for change in found.changes():
        tray.add(change)
