"""Do days, months or hours lie on a circle, and numbers on a line, in their order?"""

from collections.abc import Sequence
from typing import Any

from core.figures import circle as drawing
from core.results.circle import Circle
from core.spec.request import ModelRef, ask
from pages.shared import state
from pages.shared.panels import answer
from pages.shared.sections import ways
from pages.shared.sections.concept_set import Chosen
from pages.shared.sections.one_figure import one_figure
from pages.shared.sections.view import Patience
from pages.shared.sections.ways import Way

WAYS = {
    "plane": Way(
        "the circle",
        "Left: the class means in the plane of principal components in which consecutive classes "
        "turn most evenly, joined in their order; small points are single contexts. Right: how far "
        "a class left out lies from where the others say, at every depth. Grey: other orders of "
        "the same words. With seven words any picture can be bent into a circle: the held-out "
        "error and the order test are the evidence.",
    ),
    "held out": Way(
        "left out",
        "Where the other classes say each class lies, against where it should. Dots on the line "
        "were foretold.",
    ),
    "layers": Way(
        "layer by layer",
        "Held-out error and order test at every depth; grey: all other orders of the words, or "
        "10,000 of them.",
    ),
    "indices": Way(
        "one feature or two",
        "Separability: bits that two coordinates share in every rotation, at least. Mixture: the "
        "largest share of points in a thin strip. A feature that cannot be split has the first "
        "high and the second low. Grey: one coordinate dealt out anew, and Gaussian class means.",
    ),
    "frequencies": Way(
        "frequencies",
        "Share of the class means' variance that goes round once, twice, ... in a period. A circle "
        "in order has its share at one.",
    ),
}


def draw(model: ModelRef, given: Chosen, patience: Patience) -> None:
    work = state.workspace()
    prepare = "centre" if work.choice("prepare") == "zscore" else work.choice("prepare")
    request = ask("circle", model, prepare=prepare, seed=work.seed, **given.options())
    view, help_ = ways.chosen(WAYS)
    found = answer(request, key="circle", grace=patience.left(), height=460)
    if not isinstance(found, Circle):
        return
    row = ways.depth(found.best, found.n_layers)
    one_figure(
        request, drawing, key="circle", title=given.one.name, help=help_, grace=0.0, height=460,
        on_pick=_pick, view=view, layer=row,
    )  # fmt: skip


def _pick(found: Any, cell: Sequence[int]) -> None:
    """A click on a curve over depth goes to that depth."""
    if state.workspace().choice("viewed") == "layers" and 0 <= cell[0] <= found.n_layers:
        state.choose("row", str(cell[0]))
