"""At which tokens a change acts: one choice, and the tokens' numbers where they are chosen."""

from collections.abc import Callable

import streamlit as st

from core.spec.where import NAMES, canonical
from pages.shared import state

CHOSEN = "chosen"
WORDS = {
    "": "all tokens",
    "prompt": "prompt only",
    "generated": "generated only",
    CHOSEN: "chosen tokens",
}
HELP = (
    "Tokens are counted from 0 over prompt and generated tokens. A change of generated tokens "
    "does nothing on views of the prompt alone; it shows from the second new token on."
)


def where(value: str, then: Callable[[str], None], *, key: str, token: int = 0) -> None:
    """Show where a change acts; `then(text)` when a person changes it.

    `token` is what "chosen tokens" begins with.
    """

    def choose(name: str) -> None:
        take(name if name != CHOSEN else str(token))

    def take(text: str) -> None:
        state.attempt(lambda: then(canonical(text)))

    shown = value if value in NAMES else CHOSEN
    state.field(
        st.selectbox, "Acts at", list(WORDS), key=f"{key}_where", value=shown, then=choose,
        format_func=WORDS.__getitem__, help=HELP, width=170,
    )  # fmt: skip
    if shown == CHOSEN:
        state.field(
            st.text_input, "Tokens", key=f"{key}_tokens", value=value, then=take,
            placeholder="2,5-7,9-", width=130,
        )  # fmt: skip
