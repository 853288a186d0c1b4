"""What a feature writes: read as tokens on the direct path, and by all paths."""

from core.figures import feature_effect as effect_drawing
from core.figures import feature_lens as lens_drawing
from core.spec.request import ask
from core.spec.site import Site
from pages.shared.notices import sentence
from pages.shared.sections import corpus
from pages.shared.sections.feature_book import Book
from pages.shared.sections.one_figure import one_figure, way
from pages.shared.sections.view import LENS, PREDICTIONS, View

HELP = (
    "The decoder row through the final norm's weight and the unembedding: the tokens it raises "
    "and lowers most if nothing in between reacts, in standard deviations over the vocabulary. "
    "Dashed: 99 % of random directions stay below, dotted: of directions like the dictionary's. "
    "Features of early layers speak to later layers first, so their tokens may mean little."
)
EFFECT_HELP = (
    "What really happens to the next tokens: the feature is added at its largest value (or taken "
    "out where it fires) in texts of the corpus, and the change of log-probability is averaged. "
    "Beside each token stands what random directions of the same length do. The agreement with "
    "the direct path says how far the tokens of the lens can be believed."
)
WAYS = {
    "tokens": "direct path",
    "all": "whole vocabulary",
    "added": "by all paths, added",
    "ablated": "by all paths, taken out",
}


def draw(view: View, book: Book, site: Site, grace: float) -> None:
    able = {name: words for name, words in WAYS.items() if not view.missing(_needs(name))}
    if not able:
        sentence(view.missing(LENS), "info")
        return
    shown = way(able, name="seen")
    title = f"What {site} writes"
    if shown not in ("added", "ablated"):
        request = ask("feature_lens", view.model, dictionary=book.name, feature=site.unit)
        one_figure(
            request, lens_drawing, key="feature_lens", title=title, help=HELP, grace=grace,
            show=shown,
        )  # fmt: skip
        return
    text = corpus.chosen()
    if text is None:
        sentence(corpus.GONE, "info")
        return
    request = ask(
        "feature_effect", view.model, dictionary=book.name, feature=site.unit, corpus=text,
        seed=view.seed,
    )  # fmt: skip
    one_figure(
        request, effect_drawing, key="feature_effect", title=title, help=EFFECT_HELP, grace=grace,
        bulk=True, height=420, show=shown,
    )  # fmt: skip


def _needs(name: str) -> str:
    return PREDICTIONS if name in ("added", "ablated") else LENS
