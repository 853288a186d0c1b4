"""A page that shows one section about claims or groups; which one stands in the session."""

import streamlit as st

from core.spec.site import Site
from pages.shared import state
from pages.shared.notices import sentence
from pages.shared.panels import let_go
from pages.shared.sections import concept_test, explanation, groups
from pages.shared.sections.view import View
from tests.pages.samples import PLAIN

state.load("neurons")
work = state.workspace()
if state.notice():
    sentence(state.notice())
view = View(
    model=work.models[0],
    prompt=work.prompt,
    changes=(),
    tokens=PLAIN,
    special=(True, *[False] * (len(PLAIN) - 1)),
    token=len(PLAIN) - 1,
    chosen=None,
    seed=work.seed,
    card=None,
)
match st.session_state.get("section", "explanation"):
    case "explanation":
        explanation.draw(view, Site(2, "neuron", 7), 0.5)
    case "concept":
        concept_test.draw(view, 0.5)
    case "groups":
        groups.draw(view, 0.5)
let_go()
state.save("neurons")
