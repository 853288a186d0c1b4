"""Do words of one topic stand together in states and in attention?"""

from core.figures import topics as drawing
from core.spec.request import ModelRef, ask
from pages.shared import state
from pages.shared.sections import ways
from pages.shared.sections.concept_set import Chosen
from pages.shared.sections.one_figure import one_figure
from pages.shared.sections.view import Patience
from pages.shared.sections.ways import Way

WAYS = {
    "heads": Way(
        "heads",
        "Attention from a word to words of its own topic, less that to words of other topics, each "
        "over what the head gives at that distance. A dot: beyond topics dealt out anew. Click a "
        "head to select it.",
    ),
    "cosine": Way(
        "states", "Cosine of words of one topic and of two, at every depth; grey: by chance."
    ),
}


def draw(model: ModelRef, given: Chosen, patience: Patience) -> None:
    work = state.workspace()
    view, help_ = ways.chosen(WAYS)
    one_figure(
        ask("topics", model, seed=work.seed, **given.options()), drawing, key="topics",
        title=given.one.name, help=help_, grace=patience.left(), height=440,
        grid=view == "heads", view=view,
        on_pick=(lambda _, cell: state.select(layer=int(cell[0]), head=int(cell[1])))
        if view == "heads" else None,
    )  # fmt: skip
