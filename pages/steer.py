"""Steer: what the model makes of a sentence, and what changes when a clamp is set."""

import streamlit as st

from pages.shared.frame import page
from pages.shared.notices import sentence
from pages.shared.panels import asked
from pages.shared.sections import depth, heads, neurons, one_unit, prediction, prompt, writing
from pages.shared.sections.reading import opened
from pages.shared.sections.view import (
    LENS,
    NEURONS,
    PATTERNS,
    PREDICTIONS,
    TEXT,
    Patience,
    View,
)

PATIENCE = 0.9  # seconds one run waits for answers in all; what takes longer comes by itself
ONE_MODEL = "This page shows model A; model B waits for the pages that compare."


def ask_ahead(view: View) -> None:
    """Ask everything the page will show, cheap and certain first, before the first is drawn."""
    headless = bool(view.missing(PREDICTIONS))
    for key, request, needs in (
        ("next", prediction.question(view), PREDICTIONS),
        ("lens", depth.question(view), LENS),
        ("neurons", neurons.question(view), NEURONS),
        ("steer", writing.question(view), TEXT),
        ("attention", heads.pattern_question(view), PATTERNS),
        ("head_effect", heads.effect_question(view), PREDICTIONS),
        ("dose", writing.dose_question(view), TEXT),
        *((key, request, PREDICTIONS) for key, request in one_unit.questions(view).items()),
    ):
        able = not view.missing(needs) and (needs in (NEURONS, PATTERNS) or not headless)
        if request and able:
            asked().ask(key, request)


def draw(view: View, patience: Patience) -> None:
    """All views of one text."""
    prompt.strip(view)
    left, middle, right = st.columns([5, 9, 7], gap="medium")
    with left:
        prediction.draw(view, patience.left())
    with middle:
        grid = depth.draw(view, patience.left())
        if grid:
            depth.card(grid, view.token)
    with right:
        neurons.draw(view, patience.left())
    st.subheader("What it writes", anchor=False)
    writing.draw(view, patience.left())
    st.subheader("Clamp one unit", anchor=False)
    one_unit.draw(view, patience.left())
    st.subheader("Heads", anchor=False)
    heads.draw(view, patience.left())


with page("steer") as work:
    patience = Patience(PATIENCE)
    if len(work.models) > 1:
        sentence(ONE_MODEL, "info")
    prompt.draw()
    if view := opened(work, patience):
        ask_ahead(view)
        draw(view, patience)
