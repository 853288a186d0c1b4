"""Start: what this is, a live picture, three doors, tours, recent work, and the model's card."""

import time
from dataclasses import replace

import streamlit as st

from core import recent
from core.figures import lens as drawing
from core.figures.wording import count
from core.results.lens import LensResult
from core.spec.links import from_session, to_query
from core.spec.request import ModelRef, ask
from core.spec.workspace import DEFAULT_PROMPT
from pages.shared import pickers, state
from pages.shared.frame import page
from pages.shared.notices import code, shown_text
from pages.shared.panels import answer, look, panel
from pages.shared.sections.depth import HELP
from pages.shared.sections.tours import TOURS
from pages.shared.sections.view import as_code

STEER = "pages/steer.py"
WHAT = (
    "Look inside a language model: write a sentence, see what every layer and head makes of it, "
    "clamp a neuron, and read the changed text beside the unchanged one and a random control."
)


def picture() -> None:
    """The depth map of the default sentence, computed now; a click opens that cell in Steer."""
    request = ask("lens", ModelRef("embedded"), DEFAULT_PROMPT, k=5)
    result = answer(request, key="start_lens", height=380)
    if isinstance(result, LensResult):
        panel(
            result,
            drawing.figure(result, look()),
            key="start_lens",
            title="What every layer expects next",
            help=HELP,
            caption=drawing.caption(result),
            on_pick=_picked,
            python=as_code(request),
        )


def _picked(cell: object) -> None:
    layer, token = (int(i) for i in cell)  # type: ignore[attr-defined]
    state.change(models=(ModelRef("embedded"),), prompt=DEFAULT_PROMPT)
    state.select(token=token, layer=max(0, layer))
    st.session_state["_go"] = STEER


def doors() -> None:
    """Where to begin."""
    with st.container(border=True):
        st.markdown("**Look at a concept**")
        st.caption(
            "There is no page for whole concepts yet. Steer follows one word of it: "
            "write a sentence that ends before the word and read every layer."
        )
        st.page_link(STEER, label="Follow a word", icon=":material/search:", query_params={})
    with st.container(border=True):
        st.markdown("**Look at a model's parts**")
        st.caption("Layers, heads and neurons on your own sentence, each with what it causes.")
        st.page_link(STEER, label="Open Steer", icon=":material/tune:", query_params=state.query())
    with st.container(border=True):
        st.markdown("**Load my model**")
        st.caption("A folder or a hub id, safetensors weights. It is checked before it is used.")
        with st.popover("Choose a model", icon=":material/folder_open:", key="load_door"):
            pickers.form(0, key="door")


def tours() -> None:
    """Prepared links into Steer."""
    st.subheader("Tours", anchor=False)
    for column, tour in zip(st.columns(len(TOURS)), TOURS, strict=True):
        with column, st.container(border=True, height="stretch"):
            st.markdown(f"**{tour.title}**")
            st.caption(tour.about)
            st.page_link(
                STEER, label="Take the tour", icon=":material/arrow_forward:",
                query_params=to_query(tour.work),
            )  # fmt: skip


def history() -> None:
    """Work of earlier days, one click away."""
    items = recent.work()
    if not items:
        return
    st.subheader("Recent work", anchor=False)
    for item in items:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.button("Open", key=f"recent_{item.tab}", on_click=state.attempt, args=(_open, item))
            st.text(f"{shown_text(item.title, 90)}  ({ago(time.time() - item.saved)})")


def ago(seconds: float) -> str:
    """ "3 hours ago"."""
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= size:
            return f"{count(int(seconds // size), unit)} ago"
    return "just now"


def _open(item: recent.Work) -> None:
    opened = from_session(item.session)
    before = state.workspace()
    state.set_workspace(replace(opened, past=before.past, future=()))
    st.session_state["_go"] = f"pages/{item.page}.py"


def about() -> None:
    """What the model is and is not, in its makers' words."""
    model = state.workspace().models[0]
    st.subheader("What this model is and is not", anchor=False)
    found = pickers.card(model)
    if found is None:
        st.caption("Its card is here once it has loaded.")
        return
    st.markdown(f"{code(found.model, 80)} {pickers.size_line(found)}")
    st.caption(pickers.summary(found))
    for note in found.notes:
        st.caption(shown_text(note))
    if found.about.strip():
        st.code(found.about, language=None, wrap_lines=True, height=240)


if (target := st.session_state.pop("_go", None)) is not None:
    st.switch_page(target, query_params=state.query())
with page("start"):
    st.markdown(WHAT)
    left, right = st.columns([5, 3], gap="large")
    with left:
        picture()
    with right:
        doors()
    tours()
    history()
    about()
