"""Pieces of the figures about claims and groups: dots with intervals, bands, named rows."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures.theme import Look, colour, faint
from core.figures.wording import escaped


def dots(
    x: np.ndarray,
    y: np.ndarray,
    look: Look,
    *,
    role: str,
    name: str,
    unit: str = "",
    low: np.ndarray | None = None,
    high: np.ndarray | None = None,
    symbol: str = "circle",
    size: int = 9,
    **more: Any,
) -> go.Scatter:
    """Values at rows y, with bars from low to high where these are given."""
    own = colour(role, look)
    error = None
    if low is not None and high is not None:
        error = {
            "type": "data",
            "symmetric": False,
            "array": np.nan_to_num(high - x).clip(0),
            "arrayminus": np.nan_to_num(x - low).clip(0),
            "color": own,
            "thickness": 1.5,
            "width": 4,
        }
    return go.Scatter(
        x=np.asarray(x, float),
        y=np.asarray(y, float),
        mode="markers",
        name=escaped(name),
        marker={"color": own, "size": size, "symbol": symbol},
        error_x=error,
        hovertemplate=f"{escaped(name)}<br>%{{x:.3~g}} {unit}<extra></extra>",
        **more,
    )


def ranges(
    low: np.ndarray, high: np.ndarray, y: np.ndarray, look: Look, *, name: str, **more: Any
) -> go.Scatter:
    """A thick grey line from low to high in every row: where the control lies."""
    gap = np.full(len(y), np.nan)
    return go.Scatter(
        x=np.stack([low, high, gap], axis=1).reshape(-1).astype(float),
        y=np.stack([y, y, gap], axis=1).reshape(-1).astype(float),
        mode="lines",
        name=escaped(name),
        line={"color": faint("control", look, 0.4), "width": 12},
        hovertemplate=f"{escaped(name)}<br>%{{x:.3~g}}<extra></extra>",
        **more,
    )


def curve(
    x: np.ndarray,
    y: np.ndarray,
    look: Look,
    *,
    role: str,
    name: str,
    dash: str = "solid",
    symbol: str = "circle",
    **more: Any,
) -> go.Scatter:
    """A line with markers."""
    own = colour(role, look)
    return go.Scatter(
        x=np.asarray(x, float),
        y=np.asarray(y, float),
        mode="lines+markers",
        name=escaped(name),
        line={"color": own, "width": 2, "dash": dash},
        marker={"size": 6, "color": own, "symbol": symbol},
        hovertemplate=f"{escaped(name)}<br>%{{x:.4~g}}: %{{y:.3~g}}<extra></extra>",
        **more,
    )


def band(
    x: np.ndarray, low: np.ndarray, high: np.ndarray, look: Look, *, role: str, alpha: float = 0.2
) -> list[go.Scatter]:
    """The region between two lines."""
    edge: dict[str, Any] = {
        "x": np.asarray(x, float),
        "mode": "lines",
        "line": {"width": 0},
        "hoverinfo": "skip",
        "showlegend": False,
    }
    return [
        go.Scatter(y=np.asarray(low, float), **edge),
        go.Scatter(
            y=np.asarray(high, float), fill="tonexty", fillcolor=faint(role, look, alpha), **edge
        ),
    ]


def rows_axis(names: Sequence[str], title: str = "") -> dict[str, Any]:
    """Rows with names, the first on top. Row n lies at y = n."""
    return {
        "title": {"text": title},
        "tickmode": "array",
        "tickvals": list(range(len(names))),
        "ticktext": [escaped(name) for name in names],
        "range": [len(names) - 0.5, -0.5],
        "showgrid": False,
    }
