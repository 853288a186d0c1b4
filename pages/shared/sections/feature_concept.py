"""Which features carry a concept: held-out scores beside probes and shuffled labels."""

from collections.abc import Sequence

import streamlit as st

from core.figures import feature_concept as drawing
from core.figures import feature_emergence as emergence
from core.results.feature_concept import FeatureConcept
from core.spec.request import Request, ask
from pages.shared import state
from pages.shared.sections import concept
from pages.shared.sections.feature_book import Book
from pages.shared.sections.one_figure import one_figure, way
from pages.shared.sections.view import View

HELP = (
    "Every feature as a detector of the concept: half of the texts choose, the other half is "
    "shown, with 95 % intervals. Filled: beyond what any feature reaches when the labels are "
    "shuffled. Diamonds: a difference of means, a linear probe and the best neuron on the same "
    "texts. Click a feature to open it."
)
BORN_HELP = (
    "The best neuron of every layer for the concept, held out, less what shuffled labels reach in "
    "the same search; where a model comes with checkpoints of its training, over these too. A ring "
    "marks where the concept is shown. No dictionary is needed for it."
)
WAYS = {
    "table": "features", "texts": "text by text", "sparse": "few features",
    "born": "where it appears",
}  # fmt: skip
MOST = 12  # features drawn
POOLS = {"max": "largest", "mean": "mean", "last": "last token"}


def question(view: View, book: Book, meant: object) -> Request:
    return ask(
        "feature_concept", view.model, dictionary=book.name, concept=meant, seed=view.seed,
        pool=state.workspace().choice("pooled"),
    )  # fmt: skip


def draw(view: View, book: Book, grace: float) -> None:
    meant = concept.draw()
    if meant is None:
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        show = way(WAYS)
        state.chosen(
            st.segmented_control, "A text counts by its", list(POOLS), name="pooled",
            format_func=POOLS.__getitem__, label_visibility="collapsed",
        )  # fmt: skip
    if show == "born":
        _born(view, concept.option(meant), meant.name, grace)
        return
    one_figure(
        question(view, book, concept.option(meant)), drawing, key="concept_features",
        title=f"Which features carry “{meant.name}”", help=HELP, grace=grace, height=420,
        on_pick=_pick if show == "table" else None, show=show, most=MOST,
    )  # fmt: skip


def _born(view: View, meant: object, name: str, grace: float) -> None:
    request = ask(
        "feature_emergence", view.model, concept=meant, seed=view.seed,
        pool=state.workspace().choice("pooled"),
    )  # fmt: skip
    one_figure(
        request, emergence, key="concept_born", title=f"Where “{name}” appears", help=BORN_HELP,
        grace=grace, bulk=True, height=420,
    )  # fmt: skip


def _pick(found: FeatureConcept, cell: Sequence[int]) -> None:
    # Features beyond chance lie in the first trace, the others in the second, then the baselines.
    place, trace = cell
    strong = found.beyond[:MOST]
    rows = (strong.nonzero()[0], (~strong).nonzero()[0])
    if trace < 2 and 0 <= place < len(rows[trace]):
        state.select(feature=int(found.feature[rows[trace][place]]))
