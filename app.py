"""Start: what this is, a live picture, three doors, tours, recent work, and the model's card."""

from collections.abc import Sequence

import streamlit as st

from core.figures import lens as drawing
from core.results.lens import LensResult
from core.spec.links import to_query
from core.spec.request import ModelRef, ask
from core.spec.workspace import DEFAULT_PROMPT, Workspace
from pages.shared import pickers, state
from pages.shared.frame import page
from pages.shared.menu import entry
from pages.shared.notices import code
from pages.shared.panels import answer, panel
from pages.shared.popover import popover
from pages.shared.sections import recents, tours
from pages.shared.sections.depth import HELP
from pages.shared.sections.drawn import drawn
from pages.shared.sections.view import as_code

STEER = entry("steer").path
WHAT = (
    "Look inside a language model: write a sentence, see what every layer and head makes of it, "
    "clamp a neuron, and read the changed text beside the unchanged one and a random control."
)
CONCEPT = Workspace(prompt="The dog is big. The mouse is very")
CIRCLE = Workspace().with_choice("geometry", "circle")
TUNED = Workspace(models=(ModelRef("embedded"), ModelRef("embedded-tuned")))
TRAINED = Workspace(models=(ModelRef("embedded-small"),)).with_choice("comparing", "training")
WEEK = Workspace().with_choice("find", "concept:day").with_choice("by", "fires")


def picture() -> None:
    """The depth map of the default sentence, computed now; a click opens that cell in Steer."""
    request = ask("lens", ModelRef("embedded"), DEFAULT_PROMPT, k=5)
    result = answer(request, key="start_lens", height=400)
    if isinstance(result, LensResult):
        panel(
            result,
            drawn(drawing.figure, result),
            key="start_lens",
            title="What every layer would say next",
            help=HELP,
            caption=drawing.caption(result),
            on_pick=_picked,
            python=as_code(request),
        )


def _picked(cell: Sequence[int]) -> None:
    state.change(models=(ModelRef("embedded"),), prompt=DEFAULT_PROMPT)
    state.select(token=int(cell[1]), layer=max(0, int(cell[0])))
    st.session_state["_open_steer"] = True


def doors() -> None:
    """Where to begin."""
    with st.container(border=True):
        st.markdown("**Look at a concept**")
        st.caption(
            "Where it lies, which neurons speak of it, from which layer on it can be read, which "
            "direction separates it and what pushing it does."
        )
        _door("geometry", "Kinds of things on a map, layer by layer")
        _door("geometry", "The days of the week on a circle", CIRCLE)
        _door("neurons", "Neurons of the days of the week", WEEK)
        _door("depth", "From which layer on it can be read")
        _door("directions", "A direction, tested and pushed")
        _door("steer", "Follow a word", CONCEPT)
    with st.container(border=True):
        st.markdown("**Look at a model's parts**")
        st.caption(
            "Layers, heads, neurons and features on your own sentence, each with what it causes."
        )
        _door("steer", "Open Steer")
        _door("heads", "All heads: what they look at, what they cause")
        _door("neurons", "All neurons: what they read and write")
        _door("features", "All features: what they respond to")
    with st.container(border=True):
        st.markdown("**Compare models**")
        st.caption("A base and its fine-tune, small and large, two families, two checkpoints.")
        _door("compare", "What a fine-tune changed", TUNED)
        _door("compare", "A model over its training", TRAINED)
    with st.container(border=True):
        st.markdown("**Load my model**")
        st.caption("A folder or a hub id with safetensors weights; it is checked before use.")
        icon = ":material/folder_open:"
        popover("Choose a model", pickers.form, 0, "door", key="load_door", icon=icon)


def _door(name: str, label: str, work: Workspace | None = None) -> None:
    """A link to a page, in the visitor's own state or in a given one."""
    to = entry(name)
    query = state.query() if work is None else to_query(work)
    st.page_link(to.path, label=label, icon=to.icon, query_params=query)


def about() -> None:
    """What the model is and is not, in its makers' words."""
    st.subheader("What this model is and is not", anchor=False)
    found = pickers.card(state.workspace().models[0])
    if found is None:
        st.caption("Its card is shown once it has loaded.")
        return
    st.markdown(f"{code(found.model, 80)} {pickers.size_line(found)}")
    st.caption(pickers.summary(found))
    for note in found.notes:
        st.caption(code(note, 300))
    if introduction := found.about.partition("\n## ")[0].strip():
        st.code(introduction, language=None, wrap_lines=True)
        st.caption("The whole card with its measurements: model A on the left, *Model card*.")


if st.session_state.pop("_open_steer", False):
    st.switch_page(STEER, query_params=state.query())
with page("start"):
    st.markdown(WHAT)
    left, right = st.columns([5, 3], gap="large")
    with left:
        picture()
    with right:
        doors()
    st.subheader("Tours", anchor=False)
    tours.draw()
    recents.draw()
    about()
