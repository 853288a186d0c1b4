"""Groups of dictionary features whose tokens make one figure that cannot be split: circles too."""

from typing import Any

import streamlit as st

from core.figures import irreducible as drawing
from core.results.dictionaries import Dictionaries
from core.results.irreducible import Irreducible
from core.spec.request import ModelRef, ask
from pages.shared import state
from pages.shared.notices import sentence
from pages.shared.panels import answer
from pages.shared.sections import ways
from pages.shared.sections.begun import begun
from pages.shared.sections.one_figure import one_figure
from pages.shared.sections.view import Patience
from pages.shared.sections.ways import Way

WAYS = {
    "clusters": Way(
        "all clusters",
        "Every cluster of like features, reconstructed on the tokens it fires on. Separability: "
        "bits that two coordinates share in every rotation; mixture: points in a thin strip. A "
        "figure that cannot be split, such as a circle, stands high on the left. Grey: random "
        "clusters of the same sizes. Click one to see its tokens.",
    ),
    "tokens": Way("one cluster", "The tokens of the cluster in two of its components."),
}
TEACH = "Features are clustered and every cluster is reconstructed on its tokens: half a minute."


def draw(model: ModelRef, patience: Patience) -> None:
    books = answer(ask("dictionaries", model, opened=()), key="books", grace=patience.left())
    if not isinstance(books, Dictionaries):
        return
    if not books.usable():
        sentence(
            "This model has no sparse dictionary. Add or train one on the page Features.", "info"
        )
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = state.chosen(
            st.selectbox, "Dictionary", list(books.usable()), name="dictionary", width=220
        )
    request = ask("irreducible", model, dictionary=name, seed=state.workspace().seed)
    found = begun(
        request, key="irreducible", label="Look for figures", teach=TEACH, grace=patience.left(),
        height=440,
    )  # fmt: skip
    if not isinstance(found, Irreducible):
        return
    view, help_ = ways.chosen(WAYS)
    more: dict[str, Any] = {}
    if view == "tokens":
        text = state.workspace().choice("cluster")
        more["cluster"] = int(text) if text.isdecimal() and len(text) < 5 else 0
    one_figure(
        request, drawing, key="irreducible", title=name, help=help_, grace=0.0, height=460,
        on_pick=_pick if view == "clusters" else None, view=view, **more,
    )  # fmt: skip


def _pick(_: Any, cell: Any) -> None:
    work = state.workspace().with_choice("cluster", str(int(cell[0])))
    state.set_workspace(work.with_choice("viewed", "tokens"))
