"""Taking a state away and bringing it back: the link and the session file."""

from urllib.parse import urlsplit

import streamlit as st

from core.spec import links
from core.spec.errors import Error
from pages.shared import state
from pages.shared.notices import sentence
from pages.shared.popover import popover

MOST_BYTES = 2_000_000


def draw(page: str) -> None:
    """A popover with the link of this page in this state, and session files."""
    popover("Share", _inside, page, icon=":material/share:", key="share")


def _inside(page: str) -> None:
    st.markdown("**Link**")
    try:
        st.code(_origin() + links.link(page, state.workspace()), language=None, wrap_lines=True)
        st.caption("Opens this page with the same model, text, selection and clamps.")
    except Error as fault:
        sentence(str(fault), "warning")
    st.markdown("**Session file**")
    st.download_button(
        "Save session",
        data=lambda: links.to_session(state.workspace()),
        file_name="eidoscope-session.json",
        mime="application/json",
        key="session_save",
        on_click="ignore",
    )
    st.file_uploader(
        "Open session",
        type=["json"],
        key="session_open",
        max_upload_size=2,
        on_change=state.attempt,
        args=(_open,),
        help="A file saved here or elsewhere. It replaces model, text, selection and clamps.",
    )


def _origin() -> str:
    split = urlsplit(st.context.url or "")
    return f"{split.scheme}://{split.netloc}" if split.netloc else ""


def _open() -> None:
    file = st.session_state["session_open"]
    if file is None:
        return
    if file.size > MOST_BYTES:
        raise Error(
            f"the session file has {file.size:,} bytes, at most {MOST_BYTES:,} are read; "
            "remove long texts or directions from it"
        )
    try:
        text = file.getvalue().decode("utf-8")
    except UnicodeDecodeError:
        raise Error("this is not a session file: it is not UTF-8 text") from None
    opened, before = links.from_session(text), state.workspace()
    # The clamps of the file are a step that undo takes back.
    stepped = before.with_tray(opened.tray)
    state.change(
        models=opened.models,
        prompt=opened.prompt,
        selection=opened.selection,
        choices=opened.choices,
        own=opened.own,
        seed=opened.seed,
        temperature=opened.temperature,
        new_tokens=opened.new_tokens,
        tray=stepped.tray,
        past=stepped.past,
        future=stepped.future,
    )
