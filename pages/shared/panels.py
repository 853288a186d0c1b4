"""From a question to its answer on the page: waiting, failing, and the frame of a figure."""

from collections.abc import Callable, Sequence
from typing import Any

import plotly.graph_objects as go

from core.figures.theme import Look
from core.results.base import Result
from core.spec.request import Request
from pages.shared.export import export_row

__all__ = ["answer", "export_row", "look", "panel"]


def look() -> Look:
    """The look of this visitor's theme, for the figure functions."""
    raise NotImplementedError


def answer(
    request: Request,
    *,
    key: str,
    grace: float = 0.35,
    partial: Callable[[Any], None] | None = None,
    height: int = 320,
) -> Result | None:
    """The answer, or None while it is being worked out, has failed or was cancelled.

    Waits `grace` seconds at most; then draws a frame of `height` pixels with a bar, what is
    being done and a Cancel button, and asks for a rerun when the answer is there.
    `partial(job.partial)` draws what is there already, inside that frame.
    One question at a time per `key`: a new one cancels the old.
    """
    raise NotImplementedError


def panel(
    result: Result,
    figure: go.Figure,
    *,
    key: str,
    title: str,
    help: str,
    python: str,
    caption: str = "",
    picked: Sequence[int] | None = None,
    on_pick: Callable[[Sequence[int]], None] | None = None,
    grid: bool = True,
    job: Any = None,
) -> None:
    """A framed figure: title and how to read it, the figure, control and sample, export.

    `key` is the one given to `answer`, so that the line can say "done in 0.2 s"; or give `job`.
    `picked`, `on_pick` and `grid` as in `pickable_chart`; `python` computes the same result.
    """
    raise NotImplementedError
