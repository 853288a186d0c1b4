"""How much ordinary text needs each head: all estimated, some truly ablated."""

from core.figures import head_importance as drawing
from core.results.head_importance import HeadImportance
from core.spec.request import Request, ask
from pages.shared import state
from pages.shared.notices import sentence
from pages.shared.panels import answer, panel
from pages.shared.sections import corpus, head_map
from pages.shared.sections.drawn import drawn
from pages.shared.sections.view import View, as_code

HELP = (
    "By how much the loss per token over the text rises when a head is ablated to its mean: "
    "estimated for all heads from a few passes back, and measured for the largest and as many "
    "random ones. Where estimate and measurement disagree, the map is marked. Click a cell to "
    "select that head."
)
WINDOW, CONTEXTS, EXACT, SAMPLES = 128, 32, 4, 2


def corpus_or_sentence() -> str | tuple[str, ...] | None:
    """The text, with the choice of it, unless the map's own stands above; None: it is said why."""
    if state.workspace().choice("scored") != "corpus":
        corpus.draw()
    text = corpus.chosen()
    if text is None:
        sentence("The pasted text was left in another tab; paste it again under Own text.", "info")
    return text


def question(view: View) -> Request | None:
    text = corpus_or_sentence()
    if text is None:
        return None
    return ask(
        "head_importance", view.model, corpus=text, window=WINDOW, n_contexts=CONTEXTS,
        exact=EXACT, samples=SAMPLES, seed=view.seed,
    )  # fmt: skip


def draw(view: View, at: tuple[int, int], grace: float) -> None:
    request = question(view)
    if request is None:
        return
    found = answer(request, key="importance", grace=grace, height=260, bulk=True)
    if isinstance(found, HeadImportance):
        panel(
            found,
            drawn(drawing.figure, found),
            key="importance",
            title="How much text needs each head",
            help=HELP,
            caption=drawing.caption(found),
            picked=at,
            on_pick=head_map.choose,
            python=as_code(request),
        )
