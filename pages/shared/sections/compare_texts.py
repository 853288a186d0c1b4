"""The texts that two models are compared on."""

from typing import Any

import streamlit as st

from core import labelled
from core.spec.concept import lines
from core.spec.concept_set import SLOT, ConceptSet, Group
from core.spec.errors import Error
from pages.shared import state
from pages.shared.notices import sentence, small
from pages.shared.popover import popover

ANY, OWN = "", "own"
MOST, LEAST = 400, 20
HELP = (
    "What both models read. Sentences of many kinds say how alike they are in general; texts of "
    "one kind say it about that kind, and a fine-tune shows most on texts of what was tuned."
)
_SHUT = "_own_texts_shut"


def draw() -> dict[str, Any] | None:
    """The texts as an option of an analysis; None, and a sentence, when there are too few."""
    names = [entry.name for entry in labelled.built_in().values()]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = state.chosen(
            st.selectbox, "Texts", [ANY, *names, OWN], name="compared_on", width=360, help=HELP,
            format_func=lambda one: {ANY: "sentences of many kinds", OWN: "my own"}.get(one, one),
        )  # fmt: skip
        shut = st.session_state.get(_SHUT, 0)
        popover("My own texts", _form, icon=":material/edit:", key=f"own_texts_{shut}")
    if name == ANY:
        return {}
    if name != OWN:
        return {"texts": tuple(labelled.named(name).texts[:MOST])}
    own = state.workspace().own_set
    texts = own.items[:MOST] if own is not None else ()
    if len(texts) < LEAST:
        sentence(f"{len(texts)} texts; write {LEAST} or more under “My own texts”.", "info")
        return None
    st.html(small(f"{len(texts)} texts of one's own", quiet=True))
    return {"texts": texts}


def as_set(texts: tuple[str, ...]) -> ConceptSet:
    """Texts of one's own as the workspace holds them: a set of one group that stands alone."""
    return ConceptSet("own texts", "categories", (Group("own texts", texts),), (SLOT,))


def _form() -> None:
    with st.form("own_texts_form", border=False):
        st.text_area(f"One text a line, {LEAST} or more", key="own_texts_text", height=260)
        st.form_submit_button("Use these", on_click=state.attempt, args=(_take,))


def _take() -> None:
    """Make the written texts those that are compared on. Raises `Error` with a sentence."""
    texts = tuple(dict.fromkeys(lines(str(st.session_state["own_texts_text"]))))
    if len(texts) < LEAST:
        raise Error(f"{len(texts)} different texts; write {LEAST} or more, one a line")
    if len(texts) > MOST:
        raise Error(f"{len(texts)} texts; at most {MOST} are read here")
    state.set_workspace(state.workspace().with_choice("compared_on", OWN))
    state.change(own_set=as_set(texts))
    st.session_state[_SHUT] = st.session_state.get(_SHUT, 0) + 1
