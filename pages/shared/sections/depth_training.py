"""When in training, at which layer, and at what size a labelled set becomes readable."""

from typing import Any

import streamlit as st

from core.figures import depth_emergence as drawing
from core.results.depth_emergence import DepthEmergence
from core.spec.request import ModelRef, Request, ask
from pages.shared import state
from pages.shared.notices import small
from pages.shared.sections import depth_curve
from pages.shared.sections.begun import begun
from pages.shared.sections.labelled import Given
from pages.shared.sections.one_figure import one_figure, way
from pages.shared.sections.view import Patience, as_code

TEACH = (
    "The same probes in every checkpoint of model A, and of B and C where they are chosen at the "
    "left. Checkpoints are the folders in “checkpoints” beside a model's files; embedded-small has "
    "eight. Ten models take seconds on the embedded ones, minutes on larger ones."
)
MAP = (
    "Held-out AUC, a map for each model: training to the right, depth upwards. A dot: beyond what "
    "the best of all cells of that model reaches with shuffled labels in 1 of 20, and above what "
    "words alone reach. A square: shown before, lost, and shown again."
)
TRAINING = "The best layer of every checkpoint; grey: the best layer with shuffled labels, 90 %."
SIZES = "The last checkpoint of every model by share of the depth; grey: shuffled labels."
WAYS = {"map": "layer by checkpoint", "training": "by training", "sizes": "by size"}
HELP = {"map": MAP, "training": TRAINING, "sizes": SIZES}


def question(models: tuple[ModelRef, ...], option: tuple[str, object]) -> Request:
    work = state.workspace()
    asked: dict[str, Any] = {option[0]: option[1], "seed": work.seed}
    if others := [str(model.name) for model in models[1:] if model != models[0]]:
        asked["sizes"] = others
    return ask("depth_emergence", models[0], position=work.choice("read"), **asked)


def draw(models: tuple[ModelRef, ...], given: Given | None, patience: Patience) -> None:
    reads = depth_curve.reads(given)
    state.chosen(
        st.selectbox, "State of a text", list(reads), name="read", width=190,
        format_func=reads.__getitem__,
    )  # fmt: skip
    if given is None:
        return
    request = question(models, given.option)
    found = begun(
        request, key="training", label="Read every checkpoint", teach=TEACH,
        grace=patience.left(), height=380,
    )  # fmt: skip
    if not isinstance(found, DepthEmergence):
        return
    shown = way(WAYS, name="viewed")
    one_figure(
        request, drawing, key="training", grace=patience.left(), view=shown,
        title="When, where and at what size it is readable", help=HELP[shown],
        python=as_code(question(models, given.python)),
    )  # fmt: skip
    if len(found.checkpoints) == len(found.models):
        words = (
            "No checkpoints lie beside these models; choose embedded-small, or a folder that has"
        )
        st.html(small(f"{words} a folder “checkpoints”.", quiet=True))
