"""Questions about a dictionary as a whole: how good, rightly read, like another, which shape."""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import streamlit as st

from core.figures import (
    blind_spots,
    dictionary_check,
    dictionary_compare,
    dictionary_report,
    entity_features,
    feature_geometry,
    sparse_probes,
)
from core.home import hosted
from core.results.base import Result
from core.results.dictionary_check import DictionaryCheck
from core.spec.request import ask
from pages.shared import sides, state
from pages.shared.notices import code, sentence
from pages.shared.sections import corpus, dictionary_adding
from pages.shared.sections.feature_book import Book
from pages.shared.sections.one_figure import one_figure, way
from pages.shared.sections.view import View


@dataclass(frozen=True)
class Study:
    """One question: in words, its analysis, how it is drawn and in which ways."""

    label: str
    title: str
    help: str
    drawing: ModuleType
    options: Callable[[Book], dict[str, Any] | None]  # None: something is missing to ask it
    views: dict[str, str] = field(default_factory=dict)
    axis: str = "view"  # the figure's word for the way it is shown
    text: bool = True  # asks about the corpus


def _own(book: Book) -> dict[str, Any]:
    return {"dictionary": book.name}


def _all(book: Book) -> dict[str, Any]:
    return {"dictionaries": book.others}


def _pair(book: Book) -> dict[str, Any] | None:
    second = state.workspace().choice("second")
    if second not in book.others:  # chosen for another model
        return None
    return {"dictionary": book.name, "with_dictionary": second}


def _sides(book: Book) -> dict[str, Any]:
    return {"dictionary": book.name, "with_corpus": state.workspace().choice("against_text")}


STUDIES = {
    "dictionary_report": Study(
        "Health",
        "Health of the dictionaries",
        "L0: features that fire on a token. FVU: the part of the variance that is left out. Cost: "
        "how much the loss of next tokens rises when the reconstruction stands at the site in "
        "place of what was there. Grey: random rows of the same shape with as many features a "
        "token. Zero and mean ablation say how much there is to lose.",
        dictionary_report,
        _all,
        {
            "quality": "L0 and cost", "losses": "what is lost", "density": "how often they fire",
            "position": "by position", "norm": "by length",
        },
    ),
    "dictionary_check": Study(
        "Read rightly?",
        "Is the dictionary read as it was trained?",
        "Formats disagree on whether a bias is subtracted, on scales and on hook points. Each row "
        "is one other way to read the same files, tried on the text; the declared one stands "
        "first. A way that leaves out clearly less is named.",
        dictionary_check,
        _own,
    ),
    "dictionary_compare": Study(
        "Two dictionaries",
        "What two dictionaries share",
        "For every feature the most alike in the other dictionary, and a match one to one. A "
        "feature that two runs share is less likely to be an accident of one. Dashed: random "
        "rows.",
        dictionary_compare,
        _pair,
    ),
    "blind_spots": Study(
        "Two texts",
        "Which features one text uses and the other does not",
        "Energy (mean squared activation) of every feature on the corpus above against another "
        "text, in doublings. Filled: beyond the bootstrap interval over documents.",
        blind_spots,
        _sides,
    ),
    "feature_geometry": Study(
        "Shape",
        "The cloud of features",
        "The spectrum of the decoder rows beside random ones, and groups of features that fire "
        "in the same texts: do those groups lie together in space? Control: shuffled groups.",
        feature_geometry,
        _own,
    ),
    "sparse_probes": Study(
        "Few features",
        "How few features a concept needs",
        "Probes on the one, two and five features that differ most, for every built-in concept "
        "that has texts of its own against it. Diamond: a probe on everything the dictionary "
        "reads; cross: as many features drawn at random. Half of the texts train, half test.",
        sparse_probes,
        _own,
        text=False,
    ),
    "entity_features": Study(
        "Known names",
        "Features of known and of unknown names",
        "Which features fire at the end of names the model may know and not of invented ones, "
        "kind by kind, beside the same with known and unknown shuffled. Twelve names a side: a "
        "first look, no proof.",
        entity_features,
        _all,
        {"unknown": "unknown names", "known": "known names"},
        axis="direction",
        text=False,
    ),
}  # fmt: skip


def draw(view: View, book: Book, grace: float) -> None:
    """Which question, and its answer."""
    name = state.chosen(
        st.segmented_control, "About the dictionary", list(STUDIES), name="study",
        format_func=lambda one: STUDIES[one].label, label_visibility="collapsed",
    )  # fmt: skip
    study, text = STUDIES[name], corpus.chosen()
    if text is None and study.text:
        sentence(corpus.GONE, "info")
        return
    if name == "dictionary_compare":
        _second(book)
    if name == "blind_spots":
        _against()
    options = study.options(book)
    if options is None:
        sentence("Choose the dictionary it is compared with; this model has no other.", "info")
        return
    if study.text:
        options["corpus"] = text
    shown: dict[str, Any] = {study.axis: way(study.views)} if study.views else {}
    found = one_figure(
        ask(name, view.model, **options), study.drawing, key=name, title=study.title,
        help=study.help, grace=grace, bulk=True, height=420, **shown,
    )  # fmt: skip
    _said(view, book, found)


def _second(book: Book) -> None:
    others = [name for name in book.others if name != book.name]
    if others:
        state.chosen(st.selectbox, "Compared with", others, name="second", width=260)


def _against() -> None:
    texts = [name for name in corpus.BUILT_IN if name != state.workspace().choice("corpus")]
    state.chosen(
        st.selectbox, "Against the text", texts, name="against_text",
        format_func=corpus.BUILT_IN.__getitem__, width=420,
    )  # fmt: skip


def _said(view: View, book: Book, found: Result | None) -> None:
    """What a check has to say in words, and the way to take its advice."""
    if not isinstance(found, DictionaryCheck):
        return
    if found.better >= 0:
        sentence(found.sentence, "warning")
    for warning in found.warnings:
        sentence(warning, "warning")
    if found.better >= 0 and not hosted() and sides.first():
        name = dictionary_adding.free(book.name, book.others)
        st.button(
            f"Read it so, as {code(name)}", key="read_so", on_click=state.attempt,
            help="The same files under a new name; the old reading stays.",
            args=(dictionary_adding.again, view.model, book.name, name,
                  dict(found.readings[found.better])),
        )  # fmt: skip
