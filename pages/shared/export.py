"""Taking an answer away: Python, CSV, JSON, HTML, SVG."""

import plotly.graph_objects as go

from core.results.base import Result


def export_row(result: Result, *, key: str, python: str, fig: go.Figure | None = None) -> None:
    """A popover "Export": the Python lines, CSV, JSON, and with a figure HTML and SVG.

    Files are made when asked for, not before.
    """
    raise NotImplementedError
