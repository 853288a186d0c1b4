"""Compare: where two models agree, where they differ most, and which parts make the difference."""

import streamlit as st

from pages.shared import pickers, state, tray
from pages.shared.frame import page
from pages.shared.notices import sentence
from pages.shared.sections import compare_counterparts as counterparts
from pages.shared.sections import compare_likeness as likeness
from pages.shared.sections import compare_models, compare_summary, compare_texts, compare_training
from pages.shared.sections import compare_shift as shift
from pages.shared.sections.view import Patience

PATIENCE = 0.9  # seconds one run waits for answers in all; what takes longer comes by itself
QUESTIONS = {
    "summary": ("Summary", compare_summary.draw),
    "layers": ("Layer by layer", likeness.draw),
    "units": ("Counterparts", counterparts.draw),
    "shift": ("What changed", shift.draw),
    "carry": ("Carry a direction over", shift.carried),
    "flips": ("Where they disagree", shift.flipped),
}
ONE = {"training": ("Over training", compare_training.draw)}


with page("compare") as work:
    patience = Patience(PATIENCE)
    tray.set_aside()
    pair = compare_models.pair(work)
    offered = (QUESTIONS if pair else {}) | ONE
    name = state.chosen(
        st.segmented_control, "Question", list(offered), name="comparing",
        format_func=lambda one: offered[one][0], label_visibility="collapsed",
    )  # fmt: skip
    failed = [model for model in work.models if pickers.card_job(model).state == "failed"]
    for model in failed:
        sentence(f"{model}: {pickers.card_job(model).error}")
    if name in ONE:
        ONE[name][1](work.models[0], patience)
    elif pair and not set(failed) & set(pair):
        texts = compare_texts.draw()
        if texts is not None:
            QUESTIONS[name][1](pair, texts, patience)
