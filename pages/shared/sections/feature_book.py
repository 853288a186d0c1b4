"""Which dictionary a page is about."""

from dataclasses import dataclass, replace

import streamlit as st

from core.figures.wording import count
from core.home import hosted
from core.results.dictionaries import Dictionaries
from core.spec.interventions import Change, Clamp
from core.spec.request import Request, ask
from core.spec.site import Site
from core.spec.site import site as site_of
from pages.shared import sides, state, tray
from pages.shared.notices import sentence, small
from pages.shared.panels import answer, asked
from pages.shared.sections import corpus, dictionary_adding
from pages.shared.sections.view import View

PATIENCE = 0.9  # seconds a clamp waits for the maximum it is set to
HELP = (
    "A sparse dictionary: features that were trained to explain what a site of the model holds. "
    "Those beside the model's weights (in a folder sae/) and those that were added or trained here."
)
NONE = (
    "This model has no dictionary. Put one into the folder sae/ beside its weights, add one by its "
    "path, or train one here."
)
NONE_BESIDE = (
    "This model has no dictionary, so it has no features to stand beside those of A. With it as "
    "model A one can be added or trained here."
)
NONE_HOSTED = "This model has no dictionary. The embedded models have some."
UNDER = {"clean": "texts as they are", "clamped": "under the clamps"}


@dataclass(frozen=True, slots=True)
class Book:
    """A dictionary of model A as the page has chosen it."""

    name: str
    site: Site
    out_site: str
    n_features: int
    kind: str
    others: tuple[str, ...]  # all that can be used, this one too

    def feature(self, number: int) -> Site:
        """The address of a feature."""
        return replace(self.site, unit=number, dictionary=self.name)

    def changes(self, view: View) -> tuple[Change, ...]:
        """The clamps under which texts are read: none, unless the visitor says so."""
        return view.changes if state.workspace().choice("under") == "clamped" else ()

    def clamp(self, view: View, number: int) -> None:
        """Put a feature into the tray at the largest value seen on the reference text."""
        place = self.feature(number)
        job = asked().ask("largest", ask("scale", view.model, at=str(place)))
        job.wait(PATIENCE)
        unit = float(job.result.unit) if job.state == "done" else 0.0
        tray.add(Clamp(place, unit or 1.0), unit=unit)


def question(view: View) -> Request:
    """Which dictionaries there are; the chosen one is opened however large it is."""
    chosen = state.workspace().choice("dictionary")
    return ask("dictionaries", view.model, opened=(chosen,) if chosen else ())


def draw(view: View, grace: float) -> Book | None:
    """The choice of a dictionary; None when there is none, or while they are looked for."""
    dictionary_adding.watched(grace)
    found = answer(question(view), key="books", grace=grace, height=120)
    if not isinstance(found, Dictionaries):
        return None
    for name, fault in zip(found.names, found.faults, strict=True):
        if fault:
            sentence(f"{name}: {fault}", "warning")
    usable = found.usable()
    if not usable:
        none = NONE if sides.first() else NONE_BESIDE
        sentence(NONE_HOSTED if hosted() else none, "info")
        with st.container(horizontal=True, vertical_alignment="bottom"):
            dictionary_adding.draw(view.model)
            corpus.draw()
        return None
    name = _chosen(view, usable)
    row = found.names.index(name)
    st.html(small(("" if sides.first() else f"{name}: ") + _about(found, row), quiet=True))
    if found.n_features[row] < 0:
        return None
    return Book(
        name, site_of(found.sites[row]), found.out_sites[row], int(found.n_features[row]),
        found.kinds[row], usable,
    )  # fmt: skip


def _chosen(view: View, usable: tuple[str, ...]) -> str:
    """The line of choices: which dictionary, on which text, and under which clamps."""
    value = state.workspace().choice("dictionary")
    if value not in usable:
        value = usable[0]
    left, right = sides.columns([2, 3], gap="medium")
    with left, st.container(horizontal=True, vertical_alignment="bottom"):
        state.field(
            st.selectbox, "Dictionary", list(usable), key="choice_dictionary", value=value,
            then=take, help=HELP,
        )  # fmt: skip
        dictionary_adding.draw(view.model)
    with right:
        corpus.draw()
    if view.changes:
        state.chosen(
            st.segmented_control, "Texts", list(UNDER), name="under",
            format_func=UNDER.__getitem__, label_visibility="collapsed",
        )  # fmt: skip
    return value


def take(name: str | None) -> None:
    """Look at another dictionary. The number of a feature means nothing in it."""
    if name:
        state.choose("dictionary", name)
        state.select(feature=None)


def _about(found: Dictionaries, row: int) -> str:
    if found.n_features[row] < 0:
        return "opening"
    place = found.sites[row]
    if found.out_sites[row] != place:
        place = f"{place} to {found.out_sites[row]}"
    parts = [count(int(found.n_features[row]), "feature"), f"of {place}", found.kinds[row]]
    parts.append(f"{found.formats[row]} format")
    where = "" if hosted() else found.paths[row]
    notes = "; ".join(found.notes[row])
    return " · ".join(part for part in (*parts, where if found.added[row] else "", notes) if part)
