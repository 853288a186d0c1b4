"""Do days, months or hours lie on a circle, and numbers on a line, in their order?"""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from core.figures import circle as drawing
from core.figures import circle_patch as moving
from core.results.circle import Circle
from core.spec.request import ModelRef, ask
from pages.shared import state
from pages.shared.notices import sentence
from pages.shared.panels import answer
from pages.shared.sections import ways
from pages.shared.sections.begun import begun
from pages.shared.sections.concept_set import Chosen
from pages.shared.sections.one_figure import one_figure
from pages.shared.sections.view import Patience
from pages.shared.sections.ways import Way

TASKS = ("weekdays", "months", "embedded: days", "embedded: months", "embedded: hours")
MOVED = {"effect": "effect on the answer", "answers": "which are right", "circles": "the circles"}
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
    "moved": Way(
        "move it",
        "Adding on the cycle: “two days from Monday is …”. First how well the model does it; then, "
        "at every depth, what moving the name's state along the circle does to the answer, beside "
        "five components, the whole layer, and the same length along a random plane (grey).",
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
    if view == "moved":
        _moved(model, given, help_, patience)
        return
    found = answer(request, key="circle", grace=patience.left(), height=460)
    if not isinstance(found, Circle):
        return
    row = ways.depth(found.best, found.n_layers)
    one_figure(
        request, drawing, key="circle", title=given.one.name, help=help_, grace=0.0, height=460,
        on_pick=_pick, view=view, layer=row,
    )  # fmt: skip


def _moved(model: ModelRef, given: Chosen, help_: str, patience: Patience) -> None:
    """The task of adding on this cycle, and the circle moved inside it."""
    if given.one.name not in TASKS:
        sentence(
            f"Adding is asked about {', '.join(TASKS)}: choose one of them as concepts.",
            "info",
        )
        return
    request = ask("circle_patch", model, task=given.one.name, seed=state.workspace().seed)
    found = begun(
        request, key="moved", label="Move the circle", grace=patience.left(), height=420,
        teach="Every prompt is run with parts of its state replaced, depth by depth.",
    )  # fmt: skip
    if found is None:
        return
    shown = state.chosen(
        st.selectbox, "Drawn", list(MOVED), name="solid", width=260, format_func=MOVED.__getitem__
    )
    one_figure(
        request, moving, key="moved", title=given.one.name, help=help_, grace=0.0, height=420,
        view=shown,
    )  # fmt: skip


def _pick(found: Any, cell: Sequence[int]) -> None:
    """A click on a curve over depth goes to that depth."""
    if state.workspace().choice("viewed") == "layers" and 0 <= cell[0] <= found.n_layers:
        state.choose("row", str(cell[0]))
