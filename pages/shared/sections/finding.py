"""Find neurons: a search line over what they write, read or fire on, and the strip of them all."""

from functools import partial

import numpy as np
import streamlit as st

from core.figures import neuron_activity as activity_drawing
from core.figures import neuron_fires as fires_drawing
from core.figures import neuron_map as map_drawing
from core.figures import neuron_search as search_drawing
from core.results.neuron_activity import NeuronActivity
from core.results.neuron_fires import NeuronFires
from core.results.neuron_map import NeuronMap
from core.results.neuron_search import NeuronSearch
from core.spec.errors import Error
from core.spec.request import Request
from pages.shared import state
from pages.shared.notices import sentence, small
from pages.shared.panels import answer, asked
from pages.shared.sections import neuron_map, neuron_queries, neuron_table
from pages.shared.sections.drawn import drawn
from pages.shared.sections.neuron_map import Strip
from pages.shared.sections.view import GATES, OUTPUT_TOKENS, View

Hits = NeuronSearch | NeuronFires
BY = {"out": "write", "in": "read", "gate": "open their gate for", "fires": "fire on"}
# How the strip is coloured while nothing is searched: by the weights, or by the prompt.
WEIGHTS = {"z": "z", "cosine": "cos(in, out)", "size": "size"}
ON_PROMPT = {"activation": "here", "peak": "on the prompt", "direct": "for the answer"}
COLOURS = {
    "z": "what they write (z)",
    "cosine": "strengthen or weaken",
    "size": "size of write",
    "activation": "activation at the token",
    "peak": "strongest on the prompt",
    "direct": "effect on the answer (direct)",
}
MOST_NOTES = 6
SEARCH_HELP = (
    "A word finds its forms too (blank in front, capital, plural); several words are one question: "
    "the neurons that speak of all of them. Quotes keep a text as it is, /patterns/ are regular "
    "expressions over the model's tokens, and concept:day takes the words of a built-in concept. "
    "A word of several tokens is read as the mean of its pieces. With “fire on” words and patterns "
    "are looked for in the text chosen below; label:day takes the planted label instead."
)
PLACEHOLDER = "dog   ·   cat, dog, horse   ·   /^ ?(mon|tues)day$/   ·   concept:colour"


def line(view: View) -> None:
    """The search line, and what colours the strip while nothing is searched."""
    if why := view.missing(OUTPUT_TOKENS):
        sentence(f"{why} They are read as tokens of its input embedding instead.", "info")
    able = [name for name in BY if name != "gate" or not view.missing(GATES)]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        state.chosen(
            st.selectbox, "Neurons that", able, name="by",
            format_func=BY.__getitem__, width=190,
        )  # fmt: skip
        state.field(
            st.text_input, "Search ( / )", key="find", value=state.workspace().choice("find"),
            then=partial(state.choose, "find"), placeholder=PLACEHOLDER, help=SEARCH_HELP,
        )  # fmt: skip
        if not state.workspace().choice("find"):
            state.chosen(
                st.selectbox, "Colour", list(COLOURS), name="map",
                format_func=COLOURS.__getitem__, width=240,
            )  # fmt: skip


def draw(view: View, grace: float) -> tuple[NeuronMap, Hits | None] | None:
    """Strip and table of what the search line asks; returns the map of all neurons and the hits."""
    wrong, request = "", None
    try:
        request = neuron_queries.search(view)
    except Error as fault:
        wrong = str(fault)
    whole = neuron_queries.whole(view)
    found = answer(whole, key="neuron_map", grace=grace, height=300)
    if wrong:
        sentence(wrong)
    hits = answer(request, key="search", grace=grace, height=300) if request else None
    if not isinstance(found, NeuronMap):
        return None
    if lost := _lost(found):
        sentence(lost, "warning")
    if request and isinstance(hits, NeuronSearch | NeuronFires):
        _hits(hits, request, found)
        return found, hits
    job = asked().job("search") if request else None
    if job is None or job.finished:
        _all(view, found, whole, grace)
    return found, None


def selected(found: NeuronMap, hits: Hits | None) -> tuple[int, int]:
    """(layer, neuron) of the card: what is selected, else the best hit of the search, else the
    neuron that sticks out most.
    """
    chosen = state.workspace().selection
    if chosen.neuron is not None and not _lost(found):
        return chosen.layer, chosen.neuron
    if hits is not None:
        of_hits, neurons = neuron_table.hits(hits)
        return int(of_hits[0]), int(neurons[0])
    layer, neuron = np.unravel_index(int(np.abs(found.z).argmax()), found.z.shape)
    return int(layer), int(neuron)


def _lost(found: NeuronMap) -> str:
    """Which neuron is selected, by a link or for another model, that this model has not."""
    chosen, (layers, width) = state.workspace().selection, found.z.shape
    if chosen.neuron is None or (chosen.layer < layers and chosen.neuron < width):
        return ""
    return (
        f"There is no L{chosen.layer}.neuron[{chosen.neuron}] in this model: it has {layers} "
        f"layers of {width:,} neurons. Another one is shown."
    )


def _all(view: View, found: NeuronMap, request: Request, grace: float) -> None:
    """Every neuron, by what is chosen as colour."""
    show = state.workspace().choice("map")
    strip = _by_weights(found, request, show) if show in WEIGHTS else _on_prompt(view, show, grace)
    if strip is not None:
        neuron_map.draw(strip, key="neuron_map" if show in WEIGHTS else "activity")
        neuron_table.of_map(found, strip, key="map_table")


def _by_weights(found: NeuronMap, request: Request, show: str) -> Strip:
    field, _, _ = map_drawing.SHOWN[show]
    return Strip(
        values=getattr(found, field),
        column=WEIGHTS[show],
        figure=drawn(map_drawing.figure, found, show=show),
        caption=map_drawing.caption(found),
        result=found,
        request=request,
    )


def _on_prompt(view: View, show: str, grace: float) -> Strip | None:
    request = neuron_queries.activity(view)
    seen = answer(request, key="activity", grace=grace, height=300)
    if not isinstance(seen, NeuronActivity):
        return None
    if show == "direct" and seen.why_not:
        sentence(f"There is no direct effect to show: {seen.why_not}", "info")
        show = "peak"
    field, _, _ = activity_drawing.SHOWN[show]
    return Strip(
        values=getattr(seen, field),
        column=ON_PROMPT[show],
        figure=drawn(activity_drawing.figure, seen, show=show),
        caption=activity_drawing.caption(seen),
        result=seen,
        request=request,
    )


def _hits(hits: Hits, request: Request, found: NeuronMap) -> None:
    if isinstance(hits, NeuronSearch):
        figure, caption = drawn(search_drawing.figure, hits), search_drawing.caption(hits)
        neuron_map.draw(Strip(hits.score, "score", figure, caption, hits, request), key="search")
        for note in hits.notes[:MOST_NOTES]:
            st.html(small(note, quiet=True))
        neuron_table.of_search(hits, key="hits_table")
    else:
        figure, caption = drawn(fires_drawing.figure, hits, show="f1"), fires_drawing.caption(hits)
        strip = Strip(hits.f1 * hits.direction, "F1", figure, caption, hits, request)
        neuron_map.draw(strip, key="search")
        neuron_table.of_fires(hits, found, key="fires_table")
