"""Which features made the model's next token, and whether taking them out says the same."""

from collections.abc import Sequence
from functools import partial

import streamlit as st

from core.figures import feature_attribution as drawing
from core.results.feature_attribution import FeatureAttribution
from core.spec.request import Request
from pages.shared import state
from pages.shared.sections.feature_book import Book
from pages.shared.sections.one_figure import one_figure, way
from pages.shared.sections.view import PREDICTIONS, View

HELP = (
    "The logit of the answer as a sum: every feature's activation times the slope along what it "
    "writes, the dictionary's error, its bias, and what is not linear. The sum is complete. "
    "Check: ten features taken out one by one; the correlation says how far the sum is right. "
    "Grey: the same activations with random rows."
)
WAYS = {"sum": "the sum", "tokens": "token by token", "check": "check"}
NEEDS = PREDICTIONS


def question(view: View, book: Book) -> Request:
    """Of the answer typed for the head ranking too: the choices are the same."""
    work = state.workspace()
    options = {name: work.choice(field).strip() for name, field in FIELDS.items()}
    given = {name: value for name, value in options.items() if value}
    return view.clean(
        "feature_attribution", dictionary=book.name, seed=view.seed, **given, **view.position
    )


FIELDS = {"answer": "answer", "against": "versus"}


def draw(view: View, book: Book, grace: float) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        for field, label, hint in (
            ("answer", "Answer", "the most probable token"),
            ("versus", "Against", "the mean of the vocabulary"),
        ):
            state.field(
                st.text_input, label, key=f"feature_{field}", value=state.workspace().choice(field),
                then=partial(state.choose, field), placeholder=hint, width=240,
            )  # fmt: skip
        show = way(WAYS)
    one_figure(
        question(view, book), drawing, key="attribution", title="Which features made this",
        help=HELP, grace=grace, height=420, on_pick=_pick if show == "check" else None, view=show,
    )  # fmt: skip


def _pick(found: FeatureAttribution, cell: Sequence[int]) -> None:
    if cell[1] > 0 and 0 <= cell[0] < len(found.verified):  # behind the diagonal
        state.select(feature=int(found.verified[cell[0]]))
