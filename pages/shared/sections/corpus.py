"""Which text neurons are looked at on: built in, a file, or what a person pastes."""

from functools import partial

import streamlit as st

from core.home import hosted
from pages.shared import sides, state

BUILT_IN = {
    "built-in": "built-in: sentences, stories, planted concepts",
    "reference": "sentences and children's books",
    "world": "generated, with planted concepts",
}
PASTED = "pasted"
GONE = "The pasted text was left in another tab; paste it again under Own text."
HELP = (
    "The text whose tokens are counted. Choose one, or type the path of a .txt, .jsonl (key "
    "“text”) or .parquet (column “text”) file; or paste your own under Own text."
)
HELP_HOSTED = "The text whose tokens are counted. Choose one, or paste your own under Own text."
_HELD = "_pasted_text"


def chosen() -> str | tuple[str, ...] | None:
    """The corpus as an option of a question; None when the pasted text is not in this tab."""
    name = state.workspace().choice("corpus")
    if name != PASTED:
        return name
    text: str = st.session_state.get(_HELD, "")
    return tuple(part for part in text.split("\n\n") if part.strip()) or None


def draw() -> None:
    """The choice, and the place to paste text: once, in A's column."""
    if not sides.first():
        return
    held = st.session_state.get(_HELD, "")
    value = state.workspace().choice("corpus")
    options = [*BUILT_IN, *([PASTED] if held else [])]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        state.field(
            st.selectbox, "On which text",
            options if value in options else [*options, value],
            key="corpus", value=value, then=_take,
            format_func=lambda name: BUILT_IN.get(name, name), accept_new_options=not hosted(),
            help=HELP_HOSTED if hosted() else HELP,
        )  # fmt: skip
        with st.popover("Own text", key="corpus_own"), st.form("corpus_form", border=False):
            st.text_area(
                "Texts, an empty line between two", key="corpus_text", height=160, value=held
            )
            st.form_submit_button("Use this text", on_click=_paste)


def _take(name: str | None) -> None:
    if name:
        state.attempt(partial(state.choose, "corpus", name.strip()))


def _paste() -> None:
    text = st.session_state["corpus_text"]
    st.session_state[_HELD] = text
    state.choose("corpus", PASTED if text.strip() else "built-in")
