"""How good the model's dictionaries are: what they leave out and what that costs."""

from core.figures import dictionary_report as drawing
from core.spec.request import ask
from pages.shared.notices import sentence
from pages.shared.sections import corpus
from pages.shared.sections.feature_book import Book
from pages.shared.sections.one_figure import one_figure, way
from pages.shared.sections.view import View

HELP = (
    "L0: features that fire on a token. FVU: the part of the variance that is left out. Cost: how "
    "much the loss of next tokens rises when the reconstruction stands at the site in place of "
    "what was there. Grey: a dictionary of random rows of the same shape with as many features a "
    "token. Zero and mean ablation say how much there is to lose."
)
WAYS = {
    "quality": "L0 and cost", "losses": "what is lost", "density": "how often they fire",
    "position": "by position", "norm": "by length",
}  # fmt: skip


def draw(view: View, book: Book, grace: float) -> None:
    """All dictionaries of the model in one figure."""
    text = corpus.chosen()
    if text is None:
        sentence(corpus.GONE, "info")
        return
    shown = way(WAYS)
    request = ask("dictionary_report", view.model, dictionaries=book.others, corpus=text)
    one_figure(
        request, drawing, key="report", title="Health of the dictionaries", help=HELP, grace=grace,
        bulk=True, height=420, view=shown,
    )  # fmt: skip
