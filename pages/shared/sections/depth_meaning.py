"""Is a meaning in the states or made by the probe? The words of a text given other meanings."""

from typing import Any

import streamlit as st

from core.figures import meaning_control as drawing
from core.results.meaning_control import MeaningControl
from core.spec.meanings import MEANINGS
from core.spec.request import ModelRef, Request, ask
from pages.shared import state
from pages.shared.sections import depth_sites
from pages.shared.sections.begun import begun
from pages.shared.sections.one_figure import one_figure, way
from pages.shared.sections.view import Patience

TEACH = (
    "The texts and the states stay; what their words mean is exchanged, twenty times, by the same "
    "rule. A probe that works the answer out from the words does so under any meaning; states that "
    "hold it are read better under the real one. Seconds on the embedded model."
)
SCORES = (
    "Held-out AUC of one and the same probe: solid under the real meaning of the words; dashed the "
    "mean of other meanings, whose labels follow from the words by the same rule, with the band of "
    "all of them. What lies between is held by the states and not made by the probe. Grey: "
    "shuffled labels."
)
EXCESS = (
    "How far the real meaning lies above the mean of the others, with its 95 % interval; grey: how "
    "far every other meaning lies above the rest."
)
WAYS = {"scores": "scores", "excess": "above other meanings"}


def question(model: ModelRef, case: str) -> Request:
    work = state.workspace()
    asked: dict[str, Any] = {"untrained": True} if work.choice("fresh") == "yes" else {}
    return ask("meaning_control", model, case=case, seed=work.seed, **asked)


def controls() -> None:
    """Which texts, and whether fresh weights are asked too."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        state.chosen(
            st.selectbox, "Texts", list(MEANINGS), name="meant", width=620,
            format_func=lambda name: f"{name}: {MEANINGS[name]}",
        )  # fmt: skip
        depth_sites.fresh_too()


def draw(model: ModelRef, patience: Patience) -> None:
    request = question(model, state.workspace().choice("meant"))
    found = begun(
        request, key="meaning", label="Probe under other meanings", teach=TEACH,
        grace=patience.left(), height=320,
    )  # fmt: skip
    if not isinstance(found, MeaningControl):
        return
    shown = way(WAYS, name="viewed")
    one_figure(
        request, drawing, key="meaning", grace=patience.left(), view=shown,
        title="Held by the states, or made by the probe",
        help=SCORES if shown == "scores" else EXCESS,
    )  # fmt: skip
