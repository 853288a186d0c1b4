"""Ways to look for features, and what is asked about the one that is chosen."""

import streamlit as st

from pages.shared import sides, state
from pages.shared.notices import sentence
from pages.shared.sections import (
    clamping,
    dictionary_studies,
    dictionary_training,
    feature_card,
    feature_concept,
    feature_lens,
    feature_map,
    feature_near,
    feature_pattern,
    feature_prediction,
    feature_prompt,
    feature_rule,
    feature_scatter,
    feature_wall,
    once,
)
from pages.shared.sections.feature_book import Book
from pages.shared.sections.view import Patience, View

TEACH = (
    "Choose a feature: its texts, what it writes and causes, what is near it and how "
    "sure its label is appear here."
)
WAYS = {
    "wall": ("All features", feature_wall),
    "text": ("On my text", feature_prompt),
    "made": ("Behind the answer", feature_prediction),
    "pattern": ("For a pattern", feature_pattern),
    "concept": ("For a concept", feature_concept),
    "map": ("Map", feature_map),
    "scatter": ("Scatter", feature_scatter),
    "book": ("The dictionary", dictionary_studies),
    "train": ("Train", dictionary_training),
}
WHOLE = ("book", "train")  # ways about the dictionary and not about one feature
ASKS = {
    "writes": "What it writes",
    "causes": "What it causes",
    "near": "What is near",
    "rule": "Label and test",
}


def choice() -> str:
    """Which way."""
    return state.chosen(
        st.segmented_control, "Look for features", list(WAYS), name="features",
        format_func=lambda name: WAYS[name][0], label_visibility="collapsed",
    )  # fmt: skip


def whole(view: View, book: Book | None, way: str, patience: Patience) -> None:
    """A new dictionary, or studies of the one there is."""
    if way == "train":
        if sides.first():
            layers = view.card.sizes["n_layers"] if view.card else 1
            dictionary_training.draw(view, layers, patience.left())
    elif way == "book" and book is not None:
        dictionary_studies.draw(view, book, patience.left())


def draw(view: View, book: Book, way: str, patience: Patience) -> None:
    """Features, looked for in one of the ways."""
    once.watched(feature_card.NAMING, patience.left())  # the wall shows labels too
    WAYS[way][1].draw(view, book, patience.left())


def card(view: View, book: Book, patience: Patience) -> int | None:
    """The card of the chosen feature, and its number; None where there is none."""
    feature = state.workspace().selection.feature
    if feature is None or feature >= book.n_features:
        if feature is not None:
            sentence(_beyond(book, feature), "info")
        else:
            sentence(" ".join(sides.here().notes) or TEACH, "info")
        return None
    feature_card.draw(view, book, feature, patience.left())
    return feature


def _beyond(book: Book, feature: int) -> str:
    """A number from another dictionary, or from a mistyped address."""
    last = book.n_features - 1
    return f"{book.name} has features 0 to {last:,} and no {feature:,}; choose another."


def ask() -> str:
    """What is asked about the chosen feature."""
    return state.chosen(
        st.segmented_control, "More about it", list(ASKS), name="asks",
        format_func=ASKS.__getitem__, label_visibility="collapsed",
    )  # fmt: skip


def asked(view: View, book: Book, feature: int, asks: str, patience: Patience) -> None:
    """The answer to it."""
    site = book.feature(feature)
    match asks:
        case "writes":
            feature_lens.draw(view, book, site, patience.left())
        case "causes":
            clamping.draw(view, site, patience.left())
        case "near":
            feature_near.draw(view, book, site, patience.left())
        case "rule":
            feature_rule.draw(view, book, site, patience.left())
