"""A description, then the word: does the state behind it lie with the word's kind?"""

import streamlit as st

from core.figures import reverse_dictionary as drawing
from core.spec.request import ModelRef, ask
from pages.shared import state
from pages.shared.sections import ways
from pages.shared.sections.begun import begun
from pages.shared.sections.one_figure import one_figure
from pages.shared.sections.view import Patience
from pages.shared.sections.ways import Way

WAYS = {
    "accuracy": Way(
        "is the word found",
        "After lines “description ⇒ word” a new description stands before the arrow. How often "
        "the word follows; beside demonstrations whose words were mixed, and none.",
    ),
    "layers": Way(
        "layer by layer",
        "How often the nearest mean of a category is that of the word, from the state at the arrow "
        "and from the end of the description; grey: labels dealt out anew.",
    ),
    "demonstrations": Way(
        "how many it takes", "Likeness of the states to those behind more demonstrations."
    ),
}
ITEMS = {
    "embedded: facts": "facts of the embedded world",
    "WordNet descriptions": "nouns of WordNet",
}
TEACH = "Some hundred prompts with demonstrations are read: half a minute on the embedded model."


def draw(model: ModelRef, patience: Patience) -> None:
    work = state.workspace()
    names = dict(_items(model))
    items = state.chosen(
        st.selectbox, "Descriptions", list(names), name="described", width=320,
        format_func=names.__getitem__,
    )  # fmt: skip
    request = ask("reverse_dictionary", model, items=items, seed=work.seed)
    found = begun(
        request, key="described", label="Ask for the words", teach=TEACH, grace=patience.left()
    )
    if found is None:
        return
    view, help_ = ways.chosen(WAYS)
    one_figure(
        request, drawing, key="described", title=names[items], help=help_, grace=0.0, height=440,
        view=view,
    )  # fmt: skip


def _items(model: ModelRef) -> list[tuple[str, str]]:
    planted = str(model).startswith("embedded")
    return sorted(ITEMS.items(), key=lambda one: one[0].startswith("embedded") != planted)
