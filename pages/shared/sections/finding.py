"""Find neurons: a search line over what they write, read or fire on, and the strip of them all."""

from functools import partial

import numpy as np
import streamlit as st

from core import concepts
from core.figures import neuron_map as map_drawing
from core.figures import neuron_search as search_drawing
from core.results.neuron_map import NeuronMap
from core.results.neuron_search import NeuronSearch
from core.spec.errors import Error
from core.spec.request import Request, ask
from pages.shared import state
from pages.shared.notices import sentence, small
from pages.shared.panels import answer, asked
from pages.shared.sections import neuron_map, neuron_table
from pages.shared.sections.drawn import drawn
from pages.shared.sections.neuron_map import Strip
from pages.shared.sections.view import View

BY = {"out": "write", "in": "read", "gate": "open their gate for"}
COLOURS = {
    "z": "what they write (z)",
    "cosine": "strengthen or weaken",
    "size": "size of write",
}
COLUMNS = {"z": "z", "cosine": "cos(in, out)", "size": "size"}
MOST_NOTES = 6
SEARCH_HELP = (
    "A word finds its forms too (blank in front, capital, plural); several words are one question: "
    "the neurons that speak of all of them. Quotes keep a text as it is, /patterns/ are regular "
    "expressions over the model's tokens, and concept:day takes the words of a built-in concept. "
    "A word of several tokens is read as the mean of its pieces."
)
PLACEHOLDER = "dog   ·   cat, dog, horse   ·   /^ ?(mon|tues)day$/   ·   concept:colour"


def question(view: View) -> Request | None:
    """What the search line asks, None when it is empty. Raises `Error` for an unknown concept."""
    work = state.workspace()
    asked, by = work.choice("find").strip(), work.choice("by")
    if not asked:
        return None
    options = {"weight": by, "k": 200, "stack": view.stack}
    kind, _, name = asked.partition(":")
    if kind.strip().lower() == "concept" and name.strip():
        words = concepts.named(name.strip()).positive
        return ask("neuron_search", view.model, words=words, concept=name.strip(), **options)
    return ask("neuron_search", view.model, query=asked, **options)


def map_question(view: View) -> Request:
    return ask("neuron_map", view.model, stack=view.stack)


def draw(view: View, grace: float) -> NeuronMap | None:
    """Strip and table of what the search line asks; returns the map of all neurons."""
    try:
        asked = question(view)
    except Error as fault:
        sentence(str(fault))
        asked = None
    found = answer(map_question(view), key="neuron_map", grace=grace, height=300)
    hits = answer(asked, key="search", grace=grace, height=300) if asked else None
    if not isinstance(found, NeuronMap):
        return None
    if isinstance(hits, NeuronSearch) and asked is not None:
        _hits(hits, asked)
    elif asked is None:
        strip = _strip(found, map_question(view))
        neuron_map.draw(strip, key="neuron_map")
        neuron_table.of_map(found, strip, key="map_table")
    return found


def selected(found: NeuronMap) -> tuple[int, int]:
    """(layer, neuron) of the card: what is selected, else the best hit of the search, else the
    neuron that sticks out most.
    """
    chosen = state.workspace().selection
    layers, width = found.z.shape
    if chosen.neuron is not None and chosen.layer < layers and chosen.neuron < width:
        return chosen.layer, chosen.neuron
    job = asked().job("search")
    if job is not None and job.state == "done" and len(job.result.layer):
        return int(job.result.layer[0]), int(job.result.neuron[0])
    layer, neuron = np.unravel_index(int(np.abs(found.z).argmax()), found.z.shape)
    return int(layer), int(neuron)


def line() -> None:
    """The search line, and what colours the strip while nothing is searched."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        state.chosen(
            st.selectbox, "Neurons that", list(BY), name="by",
            format_func=BY.__getitem__, width=190,
        )  # fmt: skip
        state.field(
            st.text_input, "Search ( / )", key="find", value=state.workspace().choice("find"),
            then=partial(state.choose, "find"), placeholder=PLACEHOLDER, help=SEARCH_HELP,
        )  # fmt: skip
        if not state.workspace().choice("find"):
            state.chosen(
                st.selectbox, "Colour", list(COLOURS), name="map",
                format_func=COLOURS.__getitem__, width=220,
            )  # fmt: skip


def _strip(found: NeuronMap, request: Request) -> Strip:
    show = state.workspace().choice("map")
    field, _, _ = map_drawing.SHOWN[show]
    return Strip(
        values=getattr(found, field),
        column=COLUMNS[show],
        figure=drawn(map_drawing.figure, found, show=show),
        caption=map_drawing.caption(found),
        result=found,
        request=request,
    )


def _hits(hits: NeuronSearch, request: Request) -> None:
    strip = Strip(
        values=hits.score,
        column="score",
        figure=drawn(search_drawing.figure, hits),
        caption=search_drawing.caption(hits),
        result=hits,
        request=request,
    )
    neuron_map.draw(strip, key="search")
    for note in hits.notes[:MOST_NOTES]:
        st.html(small(note, quiet=True))
    neuron_table.of_search(hits, key="hits_table")
