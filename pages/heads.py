"""Heads: what every attention head looks at, and what each of them causes."""

import streamlit as st

from pages.shared import state
from pages.shared.frame import page
from pages.shared.sections import (
    corpus,
    head_card,
    head_columns,
    head_map,
    head_more,
    head_scores,
    head_table,
    prompt,
)
from pages.shared.sections.beside import beside
from pages.shared.sections.differing import Asked
from pages.shared.sections.view import PATTERNS, PREDICTIONS, Patience, View

PATIENCE = 0.9  # seconds one run waits for answers in all; what takes longer comes by itself


def draw(view: View, patience: Patience) -> None:
    """All heads on the left, the card of one on the right, more about it below."""
    head_scores.ask_ahead(view)
    left, right = st.columns([11, 10], gap="medium")
    with left:
        line = st.container(horizontal=True, vertical_alignment="bottom")
        with line:
            head_scores.choice()
        if state.workspace().choice("scored") == "corpus":
            corpus.draw()
        atlas = head_scores.gathered(view, patience.left())
        if not atlas.scores:
            return
        with line:
            shown = head_map.choice(view, atlas, name="heads", label="Colour", role=True)
        at = head_map.selected(atlas)
        head_map.draw(atlas, shown, at)
        if at is None:
            return
        head_table.plane(view, atlas, shown, at)
    with right:
        head_card.draw(view, atlas, at)
        head_table.table(atlas, shown)
    head_more.draw(head_more.choice(view), view, atlas, at, patience)


DIFFER = (
    Asked("What heads look at", "heads", head_scores.question, (PATTERNS,)),
    Asked("What heads cause", "head_effect", head_scores.effect_question, (PREDICTIONS,)),
)


with page("heads") as work:
    patience = Patience(PATIENCE)
    prompt.draw()
    beside(work, patience, draw, rows=head_columns.rows(), differ=DIFFER, units=("head",))
