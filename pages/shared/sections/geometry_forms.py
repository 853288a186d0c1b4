"""Do forms of one meaning meet in the middle layers: languages, digits and words, paraphrases?"""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from core import concept_sets
from core.figures import semantic_hub as drawing
from core.results.semantic_hub import SemanticHub
from core.spec.request import ModelRef, ask
from pages.shared import state
from pages.shared.panels import answer
from pages.shared.sections import ways
from pages.shared.sections.one_figure import one_figure
from pages.shared.sections.view import Patience
from pages.shared.sections.ways import Way

WAYS = {
    "layers": Way(
        "layer by layer",
        "How much more alike two forms of one meaning are than forms of different meanings, at "
        "every depth. Grey: pairs mixed at random; thin dots: fresh weights. A bump in the middle "
        "would be a place where forms meet.",
    ),
    "found": Way("found again", "How often the own second form is the nearest of all."),
    "pairs": Way("pair by pair", "Every pair of one kind at one depth, beside mixed pairs."),
}
SETS = (
    "forms", "embedded: languages and translations", "embedded: sums and dates asked in two ways",
)  # fmt: skip


def draw(model: ModelRef, patience: Patience) -> None:
    work = state.workspace()
    own = [one.name for one in concept_sets.built_in().values() if one.kind == "pairs"]
    name = state.chosen(st.selectbox, "Pairs of forms", [*SETS, *own], name="forms", width=400)
    view, help_ = ways.chosen(WAYS)
    request = ask("semantic_hub", model, concepts=name, seed=work.seed)
    found = answer(request, key="forms", grace=patience.left(), height=440)
    if not isinstance(found, SemanticHub):
        return
    more: dict[str, Any] = {}
    if view == "pairs" and (text := work.choice("row")).isdecimal():
        more["layer"] = min(int(text), found.n_layers)
    one_figure(
        request, drawing, key="forms", title=name, help=help_, grace=0.0, height=440,
        on_pick=_pick if view == "layers" else None, view=view, **more,
    )  # fmt: skip


def _pick(_: Any, cell: Sequence[int]) -> None:
    state.choose("row", str(max(0, int(cell[0]))))
