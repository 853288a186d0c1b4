"""Features: what the latents of a sparse dictionary respond to, write and cause."""

import streamlit as st

from pages.shared.frame import page
from pages.shared.sections import feature_book, feature_columns, feature_ways, prompt
from pages.shared.sections.beside import beside
from pages.shared.sections.view import Patience, View

PATIENCE = 0.9  # seconds one run waits for answers in all; what takes longer comes by itself


def draw(view: View, patience: Patience) -> None:
    """Choose a dictionary, look for features, and ask about the one that is chosen."""
    book = feature_book.draw(view, patience.left())
    way = feature_ways.choice()
    if way in feature_ways.WHOLE or book is None:
        feature_ways.whole(view, book, way, patience)
        return
    left, right = st.columns([11, 10], gap="medium")
    with left:
        feature_ways.draw(view, book, way, patience)
    with right:
        feature = feature_ways.card(view, book, patience)
    if feature is not None:
        feature_ways.asked(view, book, feature, feature_ways.ask(), patience)


with page("features") as work:
    patience = Patience(PATIENCE)
    prompt.draw()
    beside(work, patience, draw, rows=feature_columns.rows(), units=("feature",))
