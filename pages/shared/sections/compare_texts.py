"""The texts that two models are compared on."""

from typing import Any

import streamlit as st

from core import labelled
from core.spec.concept import lines
from core.spec.errors import Error
from pages.shared import state
from pages.shared.notices import sentence

ANY, OWN = "", "own"
MOST, LEAST = 400, 20
HELP = (
    "What both models read. Sentences of many kinds say how alike they are in general; texts of "
    "one kind say it about that kind, and a fine-tune shows most on texts of what was tuned."
)


def draw() -> dict[str, Any] | None:
    """The texts as an option of an analysis; None, and a sentence, when there are too few."""
    names = [entry.name for entry in labelled.built_in().values()]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = state.chosen(
            st.selectbox, "Texts", [ANY, *names, OWN], name="compared_on", width=360, help=HELP,
            format_func=lambda one: {ANY: "sentences of many kinds", OWN: "my own"}.get(one, one),
        )  # fmt: skip
    if name == ANY:
        return {}
    if name != OWN:
        return {"texts": tuple(labelled.named(name).texts[:MOST])}
    written = state.workspace().choice("own_texts")
    state.field(
        st.text_area, f"One text a line, {LEAST} or more", key="own_texts", value=written,
        then=_take, height=160,
    )  # fmt: skip
    texts = tuple(dict.fromkeys(lines(written)))
    if len(texts) < LEAST:
        sentence(f"{len(texts)} texts; write {LEAST} or more, one a line.", "info")
        return None
    return {"texts": texts}


def _take(text: str) -> None:
    state.attempt(_keep, text)


def _keep(text: str) -> None:
    if len(lines(text)) > MOST:
        raise Error(f"{len(lines(text))} texts; at most {MOST} are read here")
    state.choose("own_texts", text)
