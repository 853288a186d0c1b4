"""What fires on my text: the strongest features of every token, and what they leave out."""

from collections.abc import Sequence

from core.figures import feature_texts as drawing
from core.results.feature_texts import FeatureTexts
from core.spec.request import Request
from pages.shared import state
from pages.shared.sections.feature_book import Book
from pages.shared.sections.one_figure import one_figure, way
from pages.shared.sections.view import View

HELP = (
    "A column a token, a row a feature, the strongest first; colour is the length a feature writes "
    "there. Click a cell to open its feature. “Left out” shows how much of each token the "
    "dictionary does not explain; dashed, the same activations dealt to features at random."
)
WAYS = {"features": "features", "error": "left out"}
MOST = 24


def question(view: View, book: Book) -> Request:
    return view.ask("feature_texts", dictionary=book.name, k=8)


def draw(view: View, book: Book, grace: float) -> None:
    show = way(WAYS)
    one_figure(
        question(view, book), drawing, key="my_text", title="What fires on my text", help=HELP,
        grace=grace, grid=True, height=420, on_pick=_pick, show=show, most=MOST,
    )  # fmt: skip


def _pick(found: FeatureTexts, cell: Sequence[int]) -> None:
    """Row and token of a cell: both are selected."""
    row, token = cell[0], cell[1]
    if state.workspace().choice("drawn") != "error" and 0 <= row < len(found.listed):
        state.select(feature=int(found.listed[row]), token=int(token))
