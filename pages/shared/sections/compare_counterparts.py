"""Which neuron, head or feature of model B corresponds to each of A's?"""

from dataclasses import replace
from typing import Any

import streamlit as st

from core.figures import match as drawing
from core.results.dictionaries import Dictionaries
from core.results.match import Match
from core.spec.links import to_query
from core.spec.request import ModelRef, Request, ask
from core.spec.site import site
from pages.shared import state
from pages.shared.held import held
from pages.shared.notices import code
from pages.shared.sections import ways
from pages.shared.sections.begun import begun
from pages.shared.sections.compare_models import Pair
from pages.shared.sections.one_figure import one_figure
from pages.shared.sections.view import Patience
from pages.shared.sections.ways import Way

WAYS = {
    "likeness": Way(
        "how alike",
        "How alike the best counterpart of every unit is, beside the best among as many random "
        "mixtures of B's units: a large model offers much to choose from, so some likeness is "
        "found for anything.",
    ),
    "layers": Way("by layer", "The mean over the units of each layer, beside random mixtures."),
    "flow": Way("where they are", "In which layers of B the counterparts of A's layers lie."),
    "pairs": Way("the surest", "The units whose counterparts are surest, with what both write."),
}
UNITS = {"neuron": "neurons", "head": "heads", "feature": "features"}
BY = {"activation": "how they fire", "writes": "what they write"}
TEACH = (
    "Every unit of A is compared with every unit of B, layer pair by layer pair. Seconds on the "
    "embedded models, minutes on large ones."
)
LINKS = 8
PAGES = {"neuron": "pages/neurons.py", "head": "pages/heads.py"}


def question(of: Pair, texts: dict[str, Any], unit: str, **more: Any) -> Request:
    own = texts if more.get("by") != "writes" else {}
    return ask(
        "match", of[0], other=str(of[1]), unit=unit, seed=state.workspace().seed, **own, **more
    )


def draw(of: Pair, texts: dict[str, Any], patience: Patience) -> None:
    books = [_books(model) for model in of]
    units = UNITS if all(books) else {k: v for k, v in UNITS.items() if k != "feature"}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        unit = state.chosen(
            st.selectbox, "Units", list(units), name="unit", width=150,
            format_func=units.__getitem__,
        )  # fmt: skip
        by = state.chosen(
            st.selectbox, "Matched by", list(BY), name="matched", width=180,
            format_func=BY.__getitem__,
        )  # fmt: skip
        more: dict[str, Any] = {"by": by} if by != "activation" else {}
        if unit == "feature":
            for label, name, option, own in (
                ("Dictionary of A", "dictionary", "dictionary", books[0]),
                ("of B", "second", "with_dictionary", books[1]),
            ):
                more[option] = state.chosen(st.selectbox, label, list(own), name=name, width=160)
    request = question(of, texts, unit, **more)
    found = begun(
        request, key="match", label="Look for counterparts", teach=TEACH, grace=patience.left(),
        height=420,
    )  # fmt: skip
    if not isinstance(found, Match):
        return
    view, help_ = ways.chosen(WAYS)
    one_figure(
        request, drawing, key="match", title=f"Counterparts of {UNITS[unit]}", help=help_,
        grace=0.0, height=420, grid=view == "flow", view=view,
    )  # fmt: skip
    if unit in PAGES:
        _links(found, unit)


def _books(model: ModelRef) -> tuple[str, ...]:
    """Names of a model's dictionaries; () until they are known."""
    job = held(ask("dictionaries", model, opened=()))
    found = job.result if job.state == "done" else None
    return found.usable() if isinstance(found, Dictionaries) else ()


def _links(found: Match, unit: str) -> None:
    """The surest pairs as doors to the page of their unit, both models beside each other."""
    st.caption("Open a pair, both models beside each other:")
    with st.container(horizontal=True, gap="small"):
        for here in found.listed[:LINKS]:
            name, other = found.site(int(here)), found.site(int(found.partner[here]), there=True)
            st.page_link(
                PAGES[unit], label=f"{code(name)} – {code(other)}",
                query_params=to_query(_at(name, unit)),
            )  # fmt: skip


def _at(name: str, unit: str) -> Any:
    place = site(name)
    work = state.workspace()
    return replace(work, selection=replace(work.selection, layer=place.layer, **{unit: place.unit}))
