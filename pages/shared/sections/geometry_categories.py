"""Is a category a vector, do sub-categories branch off from it, do siblings form a simplex?"""

from typing import Any

import streamlit as st

from core.figures import categories as drawing
from core.results.categories import Categories
from core.spec.request import ModelRef, ask
from pages.shared import state
from pages.shared.panels import answer
from pages.shared.sections import ways
from pages.shared.sections.concept_set import Chosen
from pages.shared.sections.one_figure import one_figure
from pages.shared.sections.view import Patience
from pages.shared.sections.ways import Way

WAYS = {
    "held out": Way(
        "is it a vector",
        "How far words go along the vector of their category: 1 at its end, 0 not at all. Words "
        "that were held out of the vector are the evidence; grey: the same with shuffled tokens. "
        "A category is represented where the first lie far from the second.",
    ),
    "angles": Way(
        "does it branch off",
        "Cosine of what a category adds to its parent with the parent itself. Near 0 means a right "
        "angle, but right angles appear without any signal, since sets that lie in one another "
        "make them by themselves: compare with shuffled tokens and with random parents.",
    ),
    "cosines": Way(
        "heat map",
        "Cosines of the vectors of all categories, beside how near they stand in the tree and "
        "beside shuffled tokens. A dot marks what nine in ten shuffles do not reach.",
    ),
    "plane": Way(
        "parent and child",
        "The plane of a parent's and a child's vector: their words in colour, any tokens grey. "
        "Words drawn hollow were held out. Choose the category below.",
    ),
    "simplex": Way(
        "simplex",
        "Three or four siblings in the space their vectors span. A planted simplex has equal "
        "edges and stands at right angles to the parent; what was held out tells whether it is "
        "there.",
    ),
    "families": Way(
        "all families",
        "Deviation of the edges over their mean, for every family of three or more: 0 is a regular "
        "simplex. Grey: shuffled tokens, which in many dimensions are nearly regular as well.",
    ),
    "effect": Way(
        "moving",
        "Move from one parent to another: how the difference of logits changes for pairs of words "
        "across the parents, and within one. Grey: shuffled tokens.",
    ),
    "layers": Way(
        "layer by layer",
        "Mean held-out score behind every layer, beside shuffled tokens. States of words only.",
    ),
}
SIDES = {"unembedding": "output tokens (unembedding)", "states": "states of words"}
KINDS = {
    "plane": {"0": "parent and child", "1": "child and sibling", "2": "two parents"},
    "simplex": {"0": "three siblings", "1": "four siblings"},
}


def draw(model: ModelRef, given: Chosen, patience: Patience) -> None:
    work = state.workspace()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        side = state.chosen(
            st.selectbox, "Vectors of", list(SIDES), name="side", width=250,
            format_func=SIDES.__getitem__,
        )  # fmt: skip
        names = [group.name for group in given.one.groups if group.parent]
        focus = _focus(names)
    shown = {k: w for k, w in WAYS.items() if side == "states" or k != "layers"}
    view, help_ = ways.chosen(shown)
    options: dict[str, Any] = given.options() if side == "states" else {"concepts": given.option}
    row = work.choice("row")
    if side == "states" and row.isdecimal() and len(row) < 6:
        options["layer"] = int(row)
    if focus:
        options["focus"] = focus
    request = ask("categories", model, side=side, seed=work.seed, **options)
    found = answer(request, key="categories", grace=patience.left(), height=460)
    if not isinstance(found, Categories):
        return
    kind = 0
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if side == "states":
            ways.depth(found.layer, len(found.layer_test) - 1)
        if view in KINDS:
            kind = int(
                state.chosen(
                    st.selectbox, "Drawn", list(KINDS[view]), name="solid", width=220,
                    format_func=KINDS[view].__getitem__,
                )
            )  # fmt: skip
    one_figure(
        request, drawing, key="categories", title=given.one.name, help=help_, grace=0.0,
        height=460, view=view, kind=kind,
    )  # fmt: skip


def _focus(names: list[str]) -> str:
    """The category that plane and simplex look at closely; "" for the one that is clearest."""
    if not names:
        return ""
    value = state.workspace().choice("focus")
    value = value if value in names else ""
    state.field(
        st.selectbox, "Looked at closely", ["", *names], key="focus", value=value, width=220,
        then=lambda name: state.choose("focus", name),
        format_func=lambda name: name or "the first that fits",
    )  # fmt: skip
    return value
