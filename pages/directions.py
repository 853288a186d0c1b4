"""Directions: build one for a concept, push it, take it out, erase it, and export the result."""

import streamlit as st

from core.spec.concept import Concept
from core.spec.request import ModelRef
from pages.shared import pickers, state
from pages.shared.frame import page
from pages.shared.notices import sentence
from pages.shared.sections import (
    concept,
    direction_build,
    direction_files,
    direction_parts,
    erasing,
    guidance,
    removal,
)
from pages.shared.sections.view import PREDICTIONS, TEXT, Patience, missing

PATIENCE = 0.9  # seconds one run waits for answers in all; what takes longer comes by itself
FURTHER = {
    "made": "How it holds",
    "guide": "Push it",
    "remove": "Take it out",
    "erase": "Erase it",
    "files": "Save, load",
}


def draw(model: ModelRef, meant: Concept, patience: Patience) -> None:
    """The direction by layer; below it the question that is chosen."""
    request = direction_build.question(model, meant)
    found = None
    if isinstance(request, str):
        sentence(request, "info")
    else:
        found = direction_build.draw(request, patience.left())
    further = state.chosen(
        st.segmented_control, "More about it", list(FURTHER), name="further",
        format_func=FURTHER.__getitem__, label_visibility="collapsed",
    )  # fmt: skip
    card = pickers.card(model)
    silent = missing(card, TEXT) or missing(card, PREDICTIONS)
    match further:
        case "made" if found is not None:
            direction_parts.draw(found, direction_build.chosen(found))
        case "guide":
            guidance.draw(model, meant, silent, patience.left())
        case "remove":
            removal.draw(model, meant, silent, patience.left())
        case "erase":
            erasing.draw(model, meant, patience.left())
        case "files":
            direction_files.draw(found)


with page("directions") as work:
    patience = Patience(PATIENCE)
    model = work.models[0]
    loading = pickers.card_job(model)
    meant = concept.draw()
    direction_build.controls()
    if loading.state == "failed":
        sentence(f"{model}: {loading.error}")
        st.button("Try again", key="load_again", on_click=pickers.load_again, args=(model,))
    elif meant is not None:
        draw(model, meant, patience)
