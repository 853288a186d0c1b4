"""Which heads matter for this prompt, or for a concept: by what ablating them does."""

from functools import partial

import streamlit as st

from core.figures import head_ranking as drawing
from core.results.head_ranking import HeadRanking
from core.spec.request import Request, ask
from pages.shared import state
from pages.shared.panels import answer, panel
from pages.shared.sections import concept, head_map
from pages.shared.sections.drawn import drawn
from pages.shared.sections.view import View, as_code

HELP = (
    "Heads by the size of what ablating them does, never by their attention. For a prompt: to the "
    "log-probability of its answer. For a concept: to the distance of its two kinds of texts along "
    "its direction, on texts that did not build it. Each beside its control, the stream moved as "
    "far in a random direction; the band is what such changes do."
)
FOR = {"prompt": "this prompt", "concept": "a concept"}
VIEWS = {"bars": "Largest", "beside": "Beside another score", "map": "Map"}


def question(view: View) -> Request | None:
    """What is asked; draws the choice of the concept. None while there is none."""
    if state.workspace().choice("ranked") == "concept":
        chosen = concept.draw()
        if chosen is None:
            return None
        return ask(
            "head_ranking", view.model, interventions=view.changes, seed=view.seed,
            concept=concept.option(chosen),
        )  # fmt: skip
    work = state.workspace()
    words = {"answer": work.choice("answer"), "against": work.choice("versus")}
    options = {name: word for name, word in words.items() if word.strip()}
    return view.ask("head_ranking", seed=view.seed, **options, **view.position)


def draw(view: View, grace: float) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        state.chosen(
            st.segmented_control, "Ranked for", list(FOR), name="ranked",
            format_func=FOR.__getitem__,
        )  # fmt: skip
        if state.workspace().choice("ranked") == "prompt":
            _word("answer", "Answer", "the most probable token")
            _word("versus", "against", "all of the vocabulary")
    request = question(view)
    if request is None:
        return
    found = answer(request, key="ranking", grace=grace, height=320)
    if not isinstance(found, HeadRanking):
        return
    shown = state.chosen(
        st.segmented_control, "Shown as", list(VIEWS), name="ranking",
        format_func=VIEWS.__getitem__, label_visibility="collapsed",
    )  # fmt: skip
    grid = shown == "map"
    panel(
        found,
        drawn(drawing.figure, found, view=shown),
        key="ranking",
        title="Heads that matter",
        help=HELP,
        caption=drawing.caption(found),
        on_pick=head_map.choose if grid else None,
        python=as_code(request),
    )


def _word(name: str, label: str, empty: str) -> None:
    state.field(
        st.text_input, label, key=f"ranked_{name}", value=state.workspace().choice(name),
        then=partial(state.choose, name), placeholder=empty, width=200,
    )  # fmt: skip
