"""The text, the token strip under it, and how texts are continued."""

from dataclasses import replace

import streamlit as st

from core.spec.workspace import Selection
from pages.shared import state
from pages.shared.notices import code
from pages.shared.sections.view import View
from pages.shared.tokens import token_strip

EXAMPLES = (
    "Yesterday Tom walked. Then",
    "Once upon a time there was a little girl who",
    "The cat sat on the mat. The dog sat on the",
)
LONG = 160  # a longer text gets an area of several lines


def draw() -> None:
    """The text and, beside it, how it is continued."""
    text = state.workspace().prompt
    several = "\n" in text or len(text) > LONG or bool(st.session_state.get("prompt_lines_on"))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        # Two keys: a widget of another kind is another widget.
        if several:
            state.field(
                st.text_area, "Prompt", key="prompt_area", value=text, then=use, height=120,
                help=HELP,
            )  # fmt: skip
        else:
            state.field(st.text_input, "Prompt", key="prompt", value=text, then=use, help=HELP)
        with st.popover("Continuation", icon=":material/edit_note:", key="continuation"):
            _continuation()


HELP = (
    "The text the model reads. Enter applies it (in several lines: Ctrl+Enter). "
    "It is split into the tokens below; the model's answer is what it expects next."
)


def use(text: str) -> None:
    """Make this the prompt; the token that was selected in the old one means nothing in it."""
    chosen: Selection = replace(state.workspace().selection, token=None)
    state.change(prompt=text, selection=chosen)


def _continuation() -> None:
    state.bound(
        st.number_input, "New tokens", name="new_tokens", min_value=1, max_value=400, step=10,
        help="How many tokens each text is continued by.",
    )  # fmt: skip
    state.bound(
        st.slider, "Temperature", name="temperature", min_value=0.0, max_value=2.0, step=0.1,
        help="0 takes the most probable token every time (greedy); more draws at random.",
    )  # fmt: skip
    state.bound(
        st.number_input, "Seed", name="seed", min_value=0, max_value=10**9 - 1, step=1,
        help="Chooses the random controls, and the draws above temperature 0.",
    )  # fmt: skip
    st.toggle("Write several lines", key="prompt_lines_on", persist_state="session")


def examples() -> None:
    """Texts to begin with, shown when there is none or the present one cannot be read."""
    st.caption("Type a sentence, or take one of these:")
    with st.container(horizontal=True):
        for index, text in enumerate(EXAMPLES):
            st.button(code(text), key=f"example_{index}", on_click=use, args=(text,))


def strip(view: View) -> None:
    """The tokens of the text; a click selects one for every view on the page."""
    token_strip(
        view.tokens,
        key="strip",
        label="Tokens of the prompt; choose one",
        on_pick=lambda index: state.select(token=int(index)),
        picked=view.token,
        special=view.special,
    )
