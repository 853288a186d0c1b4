"""One question, one figure: the shape most panels have."""

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from core.results.base import Result
from core.spec.errors import Error
from core.spec.request import Request
from pages.shared import state
from pages.shared.notices import sentence
from pages.shared.panels import answer, panel
from pages.shared.sections.drawn import drawn
from pages.shared.sections.view import as_code


def one_figure(
    request: Request,
    drawing: ModuleType,
    *,
    key: str,
    title: str,
    help: str,
    grace: float,
    bulk: bool = False,
    grid: bool = False,
    height: int = 320,
    figure: Callable[..., go.Figure] | None = None,
    python: str = "",
    on_pick: Callable[[Any, Sequence[int]], None] | None = None,
    **chosen: Any,
) -> Result | None:
    """The answer in its panel, drawn by `drawing.figure` with what was chosen; None before that.

    Another `figure` of that module and other lines of `python` stand in their place where given.

    `on_pick(result, cell)` as in `panel`, with the answer it is about.
    """
    found = answer(request, key=key, grace=grace, height=height, bulk=bulk)
    if found is None:
        return None
    try:
        picture = drawn(figure or drawing.figure, found, **chosen)
    except Error as fault:  # this answer has nothing to show this way, and says why
        sentence(str(fault), "info")
        return found
    panel(
        found,
        picture,
        key=key,
        title=title,
        help=help,
        caption=drawing.caption(found),
        python=python or as_code(request),
        grid=grid,
        on_pick=None if on_pick is None else lambda cell: on_pick(found, cell),
    )
    return found


def way(views: dict[str, str], *, name: str = "drawn") -> str:
    """Which of several ways an answer is shown in, chosen in one line of buttons."""
    return state.chosen(
        st.segmented_control, "Shown", list(views), name=name,
        format_func=views.__getitem__, label_visibility="collapsed",
    )  # fmt: skip
