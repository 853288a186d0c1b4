"""The text as model A reads it: the first answer of every page about a prompt."""

import streamlit as st

from core.results.attention import AttentionResult
from core.results.next_tokens import NextTokens
from core.spec.request import Request, ask
from core.spec.workspace import Workspace
from pages.shared import pickers, sides, tray
from pages.shared.notices import sentence
from pages.shared.panels import answer, asked
from pages.shared.sections import prompt
from pages.shared.sections.view import PREDICTIONS, Patience, View, missing, selected


def reading(work: Workspace) -> Request:
    """The first question about a text, the cheapest there is: how the model splits it."""
    model, changes = work.models[0], tray.active()
    if missing(pickers.card(model), PREDICTIONS):
        return ask("attention", model, work.prompt, interventions=changes, layer=0, head=0)
    return ask("next_tokens", model, work.prompt, interventions=changes, k=10, seed=work.seed)


def opened(work: Workspace, patience: Patience) -> View | None:
    """The view of model A on the prompt; None while that is worked out, or when it cannot be."""
    loading = pickers.card_job(work.models[0])
    if loading.state == "failed":
        sentence(f"{work.models[0]}: {loading.error}")
        again = pickers.load_again
        st.button("Try again", key=sides.key("load_again"), on_click=again, args=(work.models[0],))
        return None
    return _view(work, patience)


def _view(work: Workspace, patience: Patience) -> View | None:
    first = reading(work)
    job = asked().ask("read", first)
    job.wait(patience.left())
    if job.state == "failed":
        sentence(job.error)
        if not first.interventions and sides.first():
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
