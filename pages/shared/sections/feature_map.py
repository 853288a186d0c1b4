"""All features in the plane, near ones alike."""

from collections.abc import Sequence

from core.figures import feature_map as drawing
from core.results.feature_map import FeatureMap
from core.spec.request import ask
from pages.shared import state
from pages.shared.sections.feature_book import Book
from pages.shared.sections.one_figure import one_figure, way
from pages.shared.sections.view import View

HELP = (
    "Every feature by what it writes: near ones have like decoder rows; distances between far ones "
    "say little, and this is not likeness of activations. Trustworthiness says how often the "
    "nearest in the plane are the nearest in truth, beside principal components and places at "
    "random. Groups were found in all dimensions. Click a point to open its feature."
)
WAYS = {"group": "groups", "density": "how often they fire", "label": "labels"}


def draw(view: View, book: Book, grace: float) -> None:
    show = way(WAYS)
    selected = state.workspace().selection.feature
    request = ask("feature_map", view.model, dictionary=book.name)
    one_figure(
        request, drawing, key="feature_map", title=f"Map of {book.name}", help=HELP, grace=grace,
        bulk=True, height=560, on_pick=_pick, show=show,
        selected=-1 if selected is None else selected,
    )  # fmt: skip


def _pick(found: FeatureMap, cell: Sequence[int]) -> None:
    if cell[1] == 0 and 0 <= cell[0] < len(found.feature):
        state.select(feature=int(found.feature[cell[0]]))
