"""How tokens travel through the layers: in a plane, towards a token, step by step."""

from typing import Any

import streamlit as st

from core.figures import trajectories as drawing
from core.results.trajectories import Trajectories
from core.spec.request import ModelRef, Request, ask
from pages.shared import state, tray
from pages.shared.notices import sentence
from pages.shared.panels import answer
from pages.shared.sections.one_figure import one_figure, way
from pages.shared.sections.view import Patience

CAPITALS = "\n".join(
    f"The capital of {country} is" for country in ("France", "Italy", "Japan", "Cuba", "Peru")
)
HELPS = {
    "plane": (
        "Every state divided by its length, in two principal components of all of them: an open "
        "ring is where a token begins, the large mark where it ends. Grey: steps of the same "
        "lengths in random directions. Two components hold a part of the variance only."
    ),
    "tokens": (
        "Across: likeness to the token that stands there; up: likeness to the row that reads the "
        "token foretold. Dashes: random tokens instead. Cosines, since states grow with depth."
    ),
    "end": (
        "Cosine of every state with the last one. Dashes: the same steps in random order; dots: "
        "random directions; the other line: fresh weights."
    ),
    "steps": "How much of the whole way each block goes.",
    "turns": (
        "Cosine of a step with the one before: 1 goes on, 0 turns off, below 0 takes back. In the "
        "hover the same for the steps in random order and for fresh weights."
    ),
    "shares": (
        "How much of each step attention makes, the rest being the MLP's. Below 0 it pulls the "
        "other way, above 1 the MLP does."
    ),
    "straight": (
        "Distance from start to end over the length of the way. Grey: steps of the same lengths in "
        "random directions. One step far longer than the others makes any way straight."
    ),
}
WAYS = {
    "plane": "in the plane",
    "tokens": "from token to token",
    "end": "towards the end",
    "straight": "how straight",
    "turns": "turns",
    "shares": "who moves it",
    "steps": "steps",
}
HELP = (
    "One text: every token of it is followed. Several, one a line: the last token of each. The "
    "prompt, as long as nothing is written here."
)


def draw(model: ModelRef, patience: Patience) -> None:
    _controls()
    request = question(model)
    if request is None:
        sentence("Write a text, or several, one a line.", "info")
        return
    found = answer(request, key="trajectories", grace=patience.left(), height=480)
    if not isinstance(found, Trajectories):
        return
    able = {name: label for name, label in WAYS.items() if name != "tokens" or any(found.outputs)}
    shown = way(able, name="viewed")
    one_figure(
        request, drawing, key="trajectories", title="How tokens travel", help=HELPS[shown],
        grace=patience.left(), height=480, view=shown,
    )  # fmt: skip


def texts() -> list[str]:
    """What is followed: the lines written, else the prompt."""
    work = state.workspace()
    lines = [line for line in work.choice("several").splitlines() if line.strip()]
    return lines or [work.prompt] * bool(work.prompt.strip())


def question(model: ModelRef) -> Request | None:
    """The paths of the chosen texts; None without one."""
    found, changes = texts(), tray.active()
    options: dict[str, Any] = {"seed": state.workspace().seed}
    if not found:
        return None
    if len(found) > 1:
        return ask("trajectories", model, interventions=changes, texts=tuple(found), **options)
    return ask("trajectories", model, found[0], interventions=changes, **options)


def _controls() -> None:
    work = state.workspace()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        state.field(
            st.text_area, "Texts, one a line", key="several", value=work.choice("several"),
            then=lambda words: state.choose("several", words), height=110, placeholder=work.prompt,
            help=HELP,
        )  # fmt: skip
        st.button(
            "Capitals", key="several_example", on_click=state.choose, args=("several", CAPITALS),
            help="Five sentences with one shape",
        )  # fmt: skip
