"""Directions: build one for a concept, push it, take it out, erase it, and export the result."""

import streamlit as st

from core.results.direction import DirectionResult
from core.spec.concept import Concept
from core.spec.request import ModelRef
from core.spec.workspace import Workspace
from pages.shared import pickers, sides, state, tray
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
from pages.shared.sections.beside import over_models
from pages.shared.sections.counterpart import EACH
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
    found = direction(model, meant, patience)
    more(model, meant, found, further(), patience)


def direction(model: ModelRef, meant: Concept, patience: Patience) -> DirectionResult | None:
    """How it is built in this model, and how well it separates."""
    request = direction_build.question(model, meant)
    if isinstance(request, str):
        sentence(request, "info")
        return None
    return direction_build.draw(request, patience.left())


def further() -> str:
    """What is asked about the direction."""
    return state.chosen(
        st.segmented_control, "More about it", list(FURTHER), name="further",
        format_func=FURTHER.__getitem__, label_visibility="collapsed",
    )  # fmt: skip


def more(
    model: ModelRef, meant: Concept, found: DirectionResult | None, asked: str, patience: Patience
) -> None:
    """The answer to it."""
    card = pickers.card(model)
    silent = missing(card, TEXT) or missing(card, PREDICTIONS)
    match asked:
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


def several(work: Workspace, meant: Concept, patience: Patience) -> None:
    """The same for every model beside each other, each part beginning at one height."""
    found: dict[ModelRef, DirectionResult | None] = {}
    asked: list[str] = []

    def built(model: ModelRef) -> None:
        found[model] = direction(model, meant, patience if sides.first() else Patience(EACH))

    def choice(_: ModelRef) -> None:
        asked.append(further())

    def answered(model: ModelRef) -> None:
        more(model, meant, found[model], asked[0], patience if sides.first() else Patience(EACH))

    over_models(work, lambda model: draw(model, meant, patience), rows=(built, choice, answered))


with page("directions") as work:
    patience = Patience(PATIENCE)
    tray.set_aside()
    model = work.models[0]
    loading = pickers.card_job(model)
    meant = concept.draw()
    direction_build.controls()
    if loading.state == "failed" and len(work.models) == 1:
        sentence(f"{model}: {loading.error}")
        st.button("Try again", key="load_again", on_click=pickers.load_again, args=(model,))
    elif meant is not None:
        several(work, meant, patience)
