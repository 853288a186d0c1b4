"""How often every feature fires against how strongly: what is dead, rare and dense, at a glance."""

from collections.abc import Sequence
from typing import Any

from core.figures import gallery as drawing
from core.results.gallery import Gallery
from core.spec.request import Request, ask
from pages.shared import state
from pages.shared.notices import sentence
from pages.shared.sections import corpus
from pages.shared.sections.drawn import drawn
from pages.shared.sections.feature_book import Book
from pages.shared.sections.one_figure import one_figure, way
from pages.shared.sections.view import View

HELP = (
    "A point a feature: the share of tokens on which it fires, and its mean or its largest value "
    "there. Shaded: too seldom to say much, and so often that it means little. Grey: the same "
    "dictionary turned at random, which is what unlearnt directions of the same shape do. Click a "
    "point to open its feature."
)
WAYS = {"mean": "mean value", "max": "largest value", "raw": "mean, raw units"}
# What the figure is told for each way.
SHOWN: dict[str, dict[str, Any]] = {
    "mean": {"show": "mean"},
    "max": {"show": "max"},
    "raw": {"show": "mean", "raw": True},
}


def question(view: View, book: Book) -> Request | None:
    """None while the corpus is not at hand."""
    text = corpus.chosen()
    if text is None:
        return None
    return ask(
        "gallery", view.model, interventions=book.changes(view), dictionary=book.name, corpus=text
    )


def draw(view: View, book: Book, grace: float) -> None:
    shown = SHOWN[way(WAYS)]
    request = question(view, book)
    if request is None:
        sentence(corpus.GONE, "info")
        return

    def pick(found: Gallery, cell: Sequence[int]) -> None:
        feature = _feature(found, cell, shown)
        if feature is not None:
            state.select(feature=feature)

    one_figure(
        request, drawing, key="scatter", title=f"How often and how strongly, {book.name}",
        help=HELP, grace=grace, bulk=True, height=460, on_pick=pick, **shown,
    )  # fmt: skip


def _feature(found: Gallery, cell: Sequence[int], shown: dict[str, Any]) -> int | None:
    """The feature of a point (its place, its trace); None for a random direction."""
    place, trace = cell
    traces = drawn(drawing.figure, found, **shown).data
    if trace != len(traces) - 1 or not 0 <= place < len(traces[trace].customdata):
        return None
    return int(traces[trace].customdata[place])
