"""Work of earlier days, one click away."""

import time
from dataclasses import replace

import streamlit as st

from core import recent
from core.figures.wording import count
from core.spec.links import from_session
from pages.shared import state
from pages.shared.menu import MENU
from pages.shared.notices import shown_text


def draw() -> None:
    """The list; nothing when there is none."""
    items = recent.work()
    if not items:
        return
    st.subheader("Recent work", anchor=False)
    for item in items:
        with st.container(horizontal=True, vertical_alignment="center", wrap=False):
            if st.button("Open", key=f"recent_{item.tab}"):
                state.attempt(_open, item)
                st.rerun()  # it could not be opened: the sentence stands at the top
            st.text(shown_text(item.title, 90))
            st.caption(ago(time.time() - item.saved))


def ago(seconds: float) -> str:
    """ "3 hours ago"."""
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= size:
            return f"{count(int(seconds // size), unit)} ago"
    return "just now"


def _open(item: recent.Work) -> None:
    opened, before = from_session(item.session), state.workspace()
    stepped = before.with_tray(opened.tray)
    state.set_workspace(replace(opened, past=stepped.past, future=stepped.future))
    path = next((entry.path for entry in MENU if entry.name == item.page), MENU[0].path)
    st.switch_page(path, query_params=state.query())
