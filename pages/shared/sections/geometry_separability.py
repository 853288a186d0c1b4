"""At which depth do classes come apart, and how strongly is each attribute drawn?"""

from typing import Any

import streamlit as st

from core.figures import separability as drawing
from core.spec.request import ModelRef, ask
from pages.shared import state
from pages.shared.sections import ways
from pages.shared.sections.concept_set import Chosen
from pages.shared.sections.one_figure import one_figure
from pages.shared.sections.view import Patience
from pages.shared.sections.ways import Way

WAYS = {
    "apart": Way(
        "how far apart",
        "Discrimination value (0: not apart, lower: further apart; even far clusters do not reach "
        "−1), silhouette, and how often the nearest class mean, built without the word, is right. "
        "Grey: labels dealt out anew. Compare layers, not models, by the first.",
    ),
    "shares": Way(
        "what is drawn largest",
        "Share of the variance of all states that each attribute holds. It says how prominently "
        "something is represented, not how usefully: what is learned early and easily takes more "
        "room at equal use. Grey: labels dealt out anew.",
    ),
}


def draw(model: ModelRef, given: Chosen, patience: Patience) -> None:
    work = state.workspace()
    view, help_ = ways.chosen(WAYS)
    state.field(
        st.toggle, "Fresh weights too", key="separability_fresh",
        value=work.choice("fresh") == "yes", width="content",
        then=lambda on: state.choose("fresh", "yes" if on else ""),
    )  # fmt: skip
    more: dict[str, Any] = {"untrained_too": True} if work.choice("fresh") == "yes" else {}
    request = ask("separability", model, seed=work.seed, **given.options(), **more)
    one_figure(
        request, drawing, key="separability", title=given.one.name, help=help_,
        grace=patience.left(), height=440, view=view,
    )  # fmt: skip
