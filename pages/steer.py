"""Steer: what the model makes of a sentence, and what changes when a clamp is set."""

import streamlit as st

from pages.shared.frame import page
from pages.shared.panels import asked
from pages.shared.sections import depth, heads, neurons, one_unit, prediction, prompt, writing
from pages.shared.sections.beside import beside
from pages.shared.sections.differing import Asked
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
    ask_ahead(view)
    prompt.strip(view)
    left, middle, right = st.columns([5, 9, 7], gap="medium")
    with left:
        prediction.draw(view, patience.left())
    with middle:
        _lens(view, patience)
    with right:
        _strongest(view, patience)
    for part, title in TITLES.items():
        st.subheader(title, anchor=False)
        part(view, patience)


def _first(view: View, patience: Patience) -> None:
    ask_ahead(view)
    prompt.strip(view)
    prediction.draw(view, patience.left())


def _lens(view: View, patience: Patience) -> None:
    if grid := depth.draw(view, patience.left()):
        depth.card(grid, view.token)


def _strongest(view: View, patience: Patience) -> None:
    neurons.draw(view, patience.left())


def _writes(view: View, patience: Patience) -> None:
    writing.draw(view, patience.left())


def _clamp(view: View, patience: Patience) -> None:
    one_unit.draw(view, patience.left())


def _heads(view: View, patience: Patience) -> None:
    heads.draw(view, patience.left())


# The same views one below the other, where several models stand beside each other.
TITLES = {_writes: "What it writes", _clamp: "Clamp one unit", _heads: "Heads"}
ROWS = (_first, _lens, _strongest, *TITLES)
DIFFER = (
    Asked("Logit lens", "lens", depth.question, (PREDICTIONS, LENS)),
    Asked("What each head causes", "head_effect", heads.effect_question, (PREDICTIONS,)),
)


with page("steer") as work:
    patience = Patience(PATIENCE)
    prompt.draw()
    beside(
        work, patience, draw, rows=ROWS, titles=TITLES, differ=DIFFER, units=("neuron", "head")
    )  # fmt: skip
