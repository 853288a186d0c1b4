"""The card of one feature: its name, how sure that is, its texts from the strongest to any."""

import streamlit as st

from core.spec.site import Site
from pages.shared import state
from pages.shared.menu import entry
from pages.shared.sections.feature_book import Book
from pages.shared.sections.framed import framed
from pages.shared.sections.view import View

HELP = (
    "Top: where it fires most. The fifths show texts from every part of its range: a label that "
    "holds only at the top explains little. Values are the length a feature writes."
)


def draw(view: View, book: Book, feature: int, grace: float) -> None:
    site = book.feature(feature)
    with framed(f"{site}", HELP, key="card"):
        _buttons(view, book, site)


def _buttons(view: View, book: Book, site: Site) -> None:
    held = any(change.site == site for change in state.workspace().active())
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="card_keys"):
        for label, key, step, about in (
            ("‹", "p", -1, "The feature before (key p)"),
            ("›", "n", 1, "The next feature (key n)"),
        ):
            st.button(
                label, key=f"card_{key}", help=about, shortcut=key, on_click=_walk,
                args=(step, book.n_features),
            )  # fmt: skip
        st.button(
            "in the tray" if held else "+ clamp",
            key="card_clamp",
            shortcut="k",
            disabled=held,
            help="Into the clamp tray at the largest value seen on the reference text (key k)",
            on_click=state.attempt,
            args=(book.clamp, view, site.unit),
        )
        st.page_link(
            entry("steer").path, label="open in Steer", icon=entry("steer").icon,
            query_params=state.query(),
        )  # fmt: skip


def _walk(step: int, n_features: int) -> None:
    """One step from where the visitor is by now: keys may come faster than cards."""
    chosen = state.workspace().selection.feature or 0
    state.select(feature=(chosen + step) % n_features)
