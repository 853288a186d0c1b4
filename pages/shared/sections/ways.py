"""Several ways to show one answer, each with its name on the switch and how to read it."""

from collections.abc import Mapping
from typing import NamedTuple

import streamlit as st

from pages.shared import state
from pages.shared.sections.one_figure import way


class Way(NamedTuple):
    """A view of an answer: its name on the switch, and how to read it."""

    name: str
    help: str


def chosen(ways: Mapping[str, Way], *, name: str = "viewed") -> tuple[str, str]:
    """(view, how to read it) of the way that is chosen in one line of buttons."""
    view = way({key: one.name for key, one in ways.items()}, name=name)
    view = view if view in ways else next(iter(ways))
    return view, ways[view].help


def depth(best: int, most: int, *, unembedding: bool = False) -> int | None:
    """A slider over depth, 0 the embedding; None as long as the best one is shown.

    unembedding  offers one place more, behind the last layer
    """
    text = state.workspace().choice("row")
    last = most + 1 if unembedding else most
    row = min(int(text), last) if text.isdecimal() and len(text) < 6 else None
    state.field(
        st.slider, "Depth (0: embedding)", 0, max(1, last), key="row", step=1, width=260,
        value=best if row is None else row, then=lambda value: state.choose("row", str(value)),
    )  # fmt: skip
    return row
