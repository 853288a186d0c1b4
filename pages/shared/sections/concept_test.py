"""A concept's neuron, found by what it writes and tested with noise on questions about it."""

from typing import Any

import pandas as pd
import streamlit as st

from core.figures import concept_neuron as drawing
from core.figures.wording import readable
from core.results.concept_neuron import ConceptNeuron
from core.spec.claims import Subject, subject, subjects
from core.spec.request import Request, ask
from core.spec.site import site
from pages.shared import sides, state
from pages.shared.notices import sentence, small
from pages.shared.panels import answer, panel
from pages.shared.sections.drawn import drawn
from pages.shared.sections.view import View, as_code

HELP = (
    "The neurons whose write vectors speak most clearly of the words get Gaussian noise on those "
    "vectors, for the length of a run; no weight is changed. Blue: by how much the loss of the "
    "clean answers rises on the concept's questions, orange on control questions, grey for random "
    "neurons of the same layers with vectors as long. A neuron that carries the concept hurts "
    "the blue and leaves the orange."
)
TEACH = (
    "Choose a subject, or type one and give its words and questions. The neurons that write these "
    "words are found and tested: does the model need them for its answers, and only for those?"
)
OWN = "Give words that the neuron should write, and at least 3 questions of each kind."
FIELDS = {
    "words": "Words the neuron should write",
    "questions": "Questions on the subject",
    "controls": "Control questions",
}
_HELD = "_subjects"


def question(view: View) -> Request | None:
    """The search and its test; None without a subject, or without its questions."""
    name = state.workspace().choice("subject").strip()
    if not name:
        return None
    own = _texts(name)
    if not all(own.values()):
        return None
    options: dict[str, Any] = {field: tuple(lines) for field, lines in own.items()}
    return ask("concept_neuron", view.model, concept=name, seed=view.seed, **options)


def draw(view: View, grace: float) -> None:
    """The subject and its questions, then the candidates."""
    left, right = sides.columns([2, 5], gap="medium")
    with left:
        _inputs()
    with right:
        request = question(view)
        if request is None:
            sentence(OWN if state.workspace().choice("subject").strip() else TEACH, "info")
            return
        result = answer(request, key="subject", grace=grace, height=380)
        if isinstance(result, ConceptNeuron):
            _shown(result, request)


def _shown(result: ConceptNeuron, request: Request) -> None:
    panel(
        result,
        drawn(drawing.figure, result),
        key="subject",
        title="Do the answers depend on what these neurons write?",
        help=HELP,
        caption=drawing.caption(result),
        grid=False,
        python=as_code(request),
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        st.html(small("Look at"), width="content")
        for name in result.sites:
            place = site(name)
            st.button(
                f"`{name}`",
                key=sides.key(f"subject_{place.layer}_{place.unit}"),
                type="tertiary",
                on_click=sides.bound(state.select),
                kwargs={"layer": place.layer, "neuron": place.unit},
            )
    st.html(small(f"Answers without and with noise on {result.sites[0]}", strong=True))
    st.dataframe(
        pd.DataFrame(
            {
                "question": [readable(text)[:120] for text in result.questions],
                "on the subject": result.on_concept,
                "clean": [readable(text)[:60] for text in result.answers],
                "with noise": [readable(text)[:60] for text in result.noised],
                "loss gained": result.loss[0].mean(axis=0),
            }
        ),
        key=sides.key("subject_answers"),
        hide_index=True,
        height=300,
        column_config={
            "loss gained": st.column_config.NumberColumn(
                format="%.3g", help="nats per token of the clean answer, mean over draws"
            )
        },
    )


def _inputs() -> None:
    """The subject: a name, its words, and questions about it and about other things."""
    if not sides.first():
        return
    name = state.workspace().choice("subject")
    names = [known.name for known in subjects()]
    state.field(
        st.selectbox, "Subject", names if name in ("", *names) else [*names, name],
        key="subject_name", value=name or None, then=_take, accept_new_options=True,
        index=None, placeholder="city, day, number … or type your own",
    )  # fmt: skip
    if not name:
        return
    own = _texts(name)
    with st.form("subject_form", border=True):
        for field, label in FIELDS.items():
            st.text_area(
                label, key=f"subject_{field}_{name}", value="\n".join(own[field]), height=110
            )
        st.form_submit_button("Find and test", on_click=_keep, args=(name,))
    st.caption("One a line. A question is a prompt; the model's own continuation is its answer.")


def _take(name: str | None) -> None:
    state.attempt(state.choose, "subject", (name or "").strip())


def _keep(name: str) -> None:
    held = st.session_state.setdefault(_HELD, {})
    held[name] = {
        field: [
            line.strip()
            for line in str(st.session_state[f"subject_{field}_{name}"]).splitlines()
            if line.strip()
        ]
        for field in FIELDS
    }


def _texts(name: str) -> dict[str, list[str]]:
    """The texts of a subject: as this tab has changed them, else those built in."""
    held: dict[str, dict[str, list[str]]] = st.session_state.get(_HELD, {})
    if name in held:
        return held[name]
    known = subject(name) or Subject(name, (), (), ())
    return {field: list(getattr(known, field)) for field in FIELDS}
