"""What a feature writes, read as tokens."""

from core.figures import feature_lens as drawing
from core.spec.request import Request, ask
from core.spec.site import Site
from pages.shared.sections.feature_book import Book
from pages.shared.sections.one_figure import one_figure, way
from pages.shared.sections.view import LENS, View

HELP = (
    "The decoder row through the final norm's weight and the unembedding: the tokens it raises "
    "and lowers most if nothing in between reacts, in standard deviations over the vocabulary. "
    "Dashed: 99 % of random directions stay below, dotted: of directions like the dictionary's. "
    "Features of early layers speak to later layers first, so their tokens may mean little."
)
WAYS = {"tokens": "tokens", "all": "whole vocabulary"}


def question(view: View, book: Book, feature: int) -> Request:
    return ask("feature_lens", view.model, dictionary=book.name, feature=feature)


def draw(view: View, book: Book, site: Site, grace: float) -> None:
    assert site.unit is not None
    one_figure(
        question(view, book, site.unit), drawing, key="feature_lens", title=f"What {site} writes",
        help=HELP, grace=grace, show=way(WAYS, name="seen"),
    )  # fmt: skip


NEEDS = LENS
