"""Do two models arrange the same texts alike, layer by layer?"""

from typing import Any

import streamlit as st

from core.figures import compare as drawing
from core.results.compare import Compare
from core.spec.request import Request, ask
from pages.shared import state
from pages.shared.panels import answer
from pages.shared.sections import ways
from pages.shared.sections.compare_models import Pair
from pages.shared.sections.one_figure import one_figure
from pages.shared.sections.view import Patience
from pages.shared.sections.ways import Way

WAYS = {
    "cka": Way(
        "CKA",
        "Linear centred kernel alignment, debiased, of states whose dimensions were standardised: "
        "1 when two layers arrange the texts alike up to rotation and size, 0 when not at all. "
        "Right: the texts of one model in random order. Numbers in cells are beyond that and "
        "beyond fresh weights. A diagonal band: layers correspond in depth.",
    ),
    "rsa": Way("RSA", "Spearman correlation of all distances between texts in the two layers."),
    "overlap": Way(
        "neighbours", "Share of each text's ten nearest neighbours that both layers agree on."
    ),
    "likeness": Way(
        "measures",
        "Corresponding layers by several measures; dashed in the same colour: texts in random "
        "order. CCA needs ten times as many texts as components, or chance is high.",
    ),
    "maps": Way(
        "linear map",
        "A linear map from each layer to its counterpart, learned on some texts: share of the "
        "variance it says right on others, and how often a text's own state is the nearest.",
    ),
    "distance": Way(
        "distance",
        "Of one architecture: how far states and weights are apart, beside another text's state "
        "and the next layer's weights.",
    ),
    "items": Way("worst texts", "The texts whose states the linear map says worst."),
}


def question(of: Pair, texts: dict[str, Any]) -> Request:
    return ask("compare", of[0], other=str(of[1]), seed=state.workspace().seed, **texts)


def draw(of: Pair, texts: dict[str, Any], patience: Patience) -> None:
    view, help_ = ways.chosen(WAYS)
    request = question(of, texts)
    found = answer(request, key="compare", grace=patience.left(), height=460)
    if not isinstance(found, Compare):
        return
    chosen: dict[str, Any] = {}
    if view == "items":
        with st.container(horizontal=True):
            row = ways.depth(len(found.cka) // 2, len(found.cka) - 1)
        chosen["layer"] = len(found.cka) // 2 if row is None else row
    one_figure(
        request, drawing, key="compare", title="Two models, layer by layer", help=help_, grace=0.0,
        height=460, grid=view in drawing.MAPS, view=view, **chosen,
    )  # fmt: skip
