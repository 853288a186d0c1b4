"""Words of several tokens as frames, and texts guided by a concept's frame."""

from typing import Any

import streamlit as st

from core.figures import frames as drawing
from core.figures import guided_decoding as guiding
from core.results.guided_decoding import GuidedDecoding
from core.spec.request import ModelRef, ask
from pages.shared import state
from pages.shared.notices import code, sentence
from pages.shared.sections import prompt, ways
from pages.shared.sections.concept_set import Chosen
from pages.shared.sections.one_figure import one_figure
from pages.shared.sections.view import Patience
from pages.shared.sections.ways import Way

FRAMES = {
    "words": Way(
        "words",
        "A word of several tokens is a frame: its token vectors as columns. Every word's "
        "correlation with its concept built without it; grey: random words of as many tokens.",
    ),
    "concepts": Way("concepts", "Correlations of the concepts' frames with each other."),
    "combined": Way("A less B", "The words of two concepts along the difference of their frames."),
}
GUIDED = {
    "steps": Way(
        "guide a text",
        "The prompt continued so that at each step, of the k most probable tokens, the one is kept "
        "that the concept reads best; k = 1 is greedy. Grey: frames of random tokens guide. A "
        "higher reading need not be a text about the concept: read it.",
    ),
    "trade-off": Way(
        "what it costs", "The reading at the end against how surprising the text is to the model."
    ),
}


def draw(model: ModelRef, given: Chosen, patience: Patience) -> None:
    work = state.workspace()
    names = [group.name for group in given.one.groups if group.items]
    if len(names) < 2:
        sentence("Frames belong to concepts: choose a set of two groups or more.", "info")
        return
    view, help_ = ways.chosen(FRAMES | GUIDED)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        concept = state.chosen(st.selectbox, "Concept", names, name="contrast", width=220)
        others = ["", *(name for name in names if name != concept)]
        against = state.chosen(
            st.selectbox, "less", others, name="contrast_b", width=220,
            format_func=lambda name: name or "nothing",
        )  # fmt: skip
    options: dict[str, Any] = {"concepts": given.option, "concept": concept, "seed": work.seed}
    if against:
        options["against"] = against
    if view in FRAMES:
        one_figure(
            ask("frames", model, **options), drawing, key="frames", title=given.one.name,
            help=help_, grace=patience.left(), height=460, view=view,
        )  # fmt: skip
        return
    prompt.draw()
    found = one_figure(
        ask("guided_decoding", model, text=work.prompt, **options), guiding, key="guided",
        title=f"Guided by {concept}", help=help_, grace=patience.left(), height=420, view=view,
    )  # fmt: skip
    if isinstance(found, GuidedDecoding):
        for k, text in zip(found.k, found.texts, strict=False):
            st.markdown(f"k = {k}: {code(text, 400)}")
