"""Features: what the latents of a sparse dictionary respond to, write and cause."""

import streamlit as st

from pages.shared import state
from pages.shared.frame import page
from pages.shared.notices import sentence
from pages.shared.sections import (
    clamping,
    dictionary_studies,
    dictionary_training,
    feature_book,
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
    prompt,
)
from pages.shared.sections.feature_book import Book
from pages.shared.sections.reading import opened
from pages.shared.sections.view import Patience, View

PATIENCE = 0.9  # seconds one run waits for answers in all; what takes longer comes by itself
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
ASKS = {
    "writes": "What it writes",
    "causes": "What it causes",
    "near": "What is near",
    "rule": "Label and test",
}


def draw(view: View, patience: Patience) -> None:
    """Choose a dictionary, look for features, and ask about the one that is chosen."""
    book = feature_book.draw(view, patience.left())
    way = state.chosen(
        st.segmented_control, "Look for features", list(WAYS), name="features",
        format_func=lambda name: WAYS[name][0], label_visibility="collapsed",
    )  # fmt: skip
    if way == "train":
        layers = view.card.sizes["n_layers"] if view.card else 1
        dictionary_training.draw(view, layers, patience.left())
    elif book is not None:
        _found(view, book, way, patience)


def _found(view: View, book: Book, way: str, patience: Patience) -> None:
    if way == "book":
        dictionary_studies.draw(view, book, patience.left())
        return
    once.watched(feature_card.NAMING, patience.left())  # the wall shows labels too
    left, right = st.columns([11, 10], gap="medium")
    with left:
        WAYS[way][1].draw(view, book, patience.left())
    feature = state.workspace().selection.feature
    if feature is None or feature >= book.n_features:
        with right:
            sentence(TEACH if feature is None else _beyond(book, feature), "info")
        return
    with right:
        feature_card.draw(view, book, feature, patience.left())
    _one(view, book, feature, patience)


def _beyond(book: Book, feature: int) -> str:
    """A number from another dictionary, or from a mistyped address."""
    last = book.n_features - 1
    return f"{book.name} has features 0 to {last:,} and no {feature:,}; choose another."


def _one(view: View, book: Book, feature: int, patience: Patience) -> None:
    """More about the chosen feature."""
    site = book.feature(feature)
    asks = state.chosen(
        st.segmented_control, "More about it", list(ASKS), name="asks",
        format_func=ASKS.__getitem__, label_visibility="collapsed",
    )  # fmt: skip
    match asks:
        case "writes":
            feature_lens.draw(view, book, site, patience.left())
        case "causes":
            clamping.draw(view, site, patience.left())
        case "near":
            feature_near.draw(view, book, site, patience.left())
        case "rule":
            feature_rule.draw(view, book, site, patience.left())


with page("features") as work:
    patience = Patience(PATIENCE)
    prompt.draw()
    if view := opened(work, patience):
        draw(view, patience)
