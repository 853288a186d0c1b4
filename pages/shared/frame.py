"""What every page shares: menu, models, clamps, sharing, and the state kept in the address."""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import streamlit as st

from core import recent
from core.spec import links
from core.spec.workspace import Workspace
from pages.shared import chip, keys, pickers, share, state, tray
from pages.shared.menu import MENU, entry, guide
from pages.shared.notices import sentence
from pages.shared.panels import let_go

# A local file: an icon of the :material/ kind would be fetched from outside.
ICON = Path(__file__).resolve().parents[2] / "assets" / "icon.svg"

STYLE = Path(__file__).with_name("frame.css")


@contextmanager
def page(name: str) -> Iterator[Workspace]:
    """Wrap the whole of a page: `with page("steer") as work: ...`; `name` is from the menu table.

    Loads the state from the address, draws the frame, and writes the address at the end.
    """
    this = entry(name)
    st.set_page_config(
        page_title=f"{this.title} · Eidoscope",
        page_icon=str(ICON),
        layout="wide",
        initial_sidebar_state="auto",
    )
    state.load(name)
    st.html(STYLE)
    with st.sidebar:
        foot = _sidebar()
    tray.bar()
    _head(name)
    yield state.workspace()
    let_go()
    with foot:
        chip.draw()
        keys.draw()
    state.save(name)
    _note_work(name)


def _sidebar() -> "st.delta_generator.DeltaGenerator":
    st.html('<div class="eido-brand">eidoscope</div>')
    pickers.draw()
    st.divider()
    query = state.query()
    for one in MENU:
        st.page_link(
            one.path,
            label=one.title,
            icon=one.icon,
            width="stretch",
            query_params=query,
        )
    st.divider()
    tray.draw()
    st.divider()
    return st.container()


def _head(name: str) -> None:
    """Title, how to read the page, sharing; below it what has to be said."""
    this = entry(name)
    with st.container(horizontal=True, vertical_alignment="center", key="head"):
        st.title(this.title, anchor=False, width="stretch")
        with st.popover("How to read", icon=":material/help:", key="guide"):
            st.markdown(guide(name))
        share.draw(name)
    if said := state.notice():
        sentence(said, "warning")


def _note_work(name: str) -> None:
    """Keep what this tab looks at in the list of recent work, once it is something of its own."""
    work = state.workspace()
    if name == "start" or work == Workspace() or st.session_state.get("_noted") == work:
        return
    tab = st.session_state.setdefault("_tab", secrets.token_hex(8))
    names = ", ".join(str(change.site) for change in work.active())
    title = f"{work.prompt[:60]} [{names}]" if names else work.prompt[:80]
    recent.remember_work(recent.Work(tab, name, title, time.time(), links.to_session(work)))
    st.session_state["_noted"] = work
