"""Steer: what the model makes of a sentence, and what changes when a clamp is set."""

import streamlit as st

from core.results.attention import AttentionResult
from core.results.next_tokens import NextTokens
from core.spec.request import Request, ask
from core.spec.workspace import Workspace
from pages.shared import pickers, tray
from pages.shared.frame import page
from pages.shared.notices import sentence
from pages.shared.panels import answer, asked
from pages.shared.sections import depth, heads, neurons, prediction, prompt, writing
from pages.shared.sections.view import (
    LENS,
    NEURONS,
    PATTERNS,
    PREDICTIONS,
    TEXT,
    Patience,
    View,
    missing,
    selected,
)

PATIENCE = 0.9  # seconds one run waits for answers in all; what takes longer comes by itself
ONE_MODEL = "This page shows model A; model B waits for the pages that compare."


def reading(work: Workspace) -> Request:
    """The first question about a text, the cheapest there is: how the model splits it."""
    model, changes = work.models[0], tray.active()
    if missing(pickers.card(model), PREDICTIONS):
        return ask("attention", model, work.prompt, interventions=changes, layer=0, head=0)
    return ask("next_tokens", model, work.prompt, interventions=changes, k=10, seed=work.seed)


def view_of(work: Workspace, patience: Patience) -> View | None:
    """The text as model A reads it; None while that is worked out, or when it cannot be."""
    first = reading(work)
    job = asked().ask("read", first)
    job.wait(patience.left())
    if job.state == "failed":
        sentence(job.error)
        if not first.interventions:
            prompt.examples()
        return None
    read = answer(first, key="read", grace=0.0)
    if not isinstance(read, NextTokens | AttentionResult):
        return None
    token, chosen = selected(read, work.selection.token)
    return View(
        model=first.model,
        prompt=work.prompt,
        changes=tray.active(),
        tokens=read.tokens,
        special=read.special,
        token=token,
        chosen=chosen,
        seed=work.seed,
        card=pickers.card(first.model),
    )


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
    st.subheader("Heads", anchor=False)
    heads.draw(view, patience.left())


with page("steer") as work:
    patience = Patience(PATIENCE)
    if len(work.models) > 1:
        sentence(ONE_MODEL, "info")
    prompt.draw()
    loading = pickers.card_job(work.models[0])
    if loading.state == "failed":
        sentence(f"{work.models[0]}: {loading.error}")
        again = pickers.load_again
        st.button("Try again", key="load_again", on_click=again, args=(work.models[0],))
    elif view := view_of(work, patience):
        ask_ahead(view)
        draw(view, patience)
