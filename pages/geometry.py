"""Geometry: where concepts lie, which contrasts are directions, what is a circle, and by chance."""

import streamlit as st

from pages.shared import pickers
from pages.shared.frame import page
from pages.shared.notices import sentence
from pages.shared.sections import geometry_questions
from pages.shared.sections.view import Patience

PATIENCE = 0.9  # seconds one run waits for answers in all; what takes longer comes by itself


with page("geometry") as work:
    patience = Patience(PATIENCE)
    model = work.models[0]
    loading = pickers.card_job(model)
    question = geometry_questions.choose()
    if loading.state == "failed":
        sentence(f"{model}: {loading.error}")
        st.button("Try again", key="load_again", on_click=pickers.load_again, args=(model,))
    else:
        geometry_questions.draw(question, work, patience)
