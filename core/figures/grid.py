"""Heat maps on integer axes: one cell per layer, head or token, with labels that fit."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures.theme import MONO, ROW
from core.figures.wording import token

# Beyond these a cell's text or a gap between cells is only noise.
MOST_TEXT_COLUMNS, MOST_TEXT_ROWS = 24, 16
MOST_GAPS = 50
MOST_LABELS = 48
MOST_HOVERS = 2_000  # full hover lines are text, and text is what makes a figure heavy and slow
LABEL = 12  # characters of a token on an axis


def cells(
    z: np.ndarray,
    *,
    scale: Any,
    limits: tuple[float, float],
    hover: np.ndarray | None = None,
    text: np.ndarray | None = None,
    first_row: int = 0,
    bar: dict[str, Any] | None = None,
    hovertemplate: str = "%{hovertext}<extra></extra>",
    customdata: np.ndarray | None = None,
    xaxis: str = "x",
) -> go.Heatmap:
    """One heat map; cell (r, c) stands at x = c, y = first_row + r.

    z       [row, column] numbers, NaN is a cell without colour
    hover   [row, column] of str, escaped; text: the same, printed inside the cells
    bar     colour bar, None for no bar
    """
    rows, columns = z.shape
    gap = 1 if max(rows, columns) <= MOST_GAPS else 0
    return go.Heatmap(
        z=z,
        x=np.arange(columns, dtype="int32"),
        y=np.arange(first_row, first_row + rows, dtype="int32"),
        zmin=limits[0],
        zmax=limits[1],
        colorscale=scale,
        showscale=bar is not None,
        colorbar=bar,
        xgap=gap,
        ygap=gap,
        text=text,
        texttemplate=None if text is None else "%{text}",
        textfont={"family": MONO},
        hovertext=hover,
        hovertemplate=hovertemplate,
        customdata=customdata,
        xaxis=xaxis,
    )


def token_axis(tokens: Sequence[str], title: str, *, upright: bool = False) -> dict[str, Any]:
    """Ticks that are positions with the tokens as labels; many tokens: every n-th.

    A word may occur twice, so the tokens are never the positions themselves.
    """
    step = -(-len(tokens) // MOST_LABELS)
    at = range(0, len(tokens), step)
    axis: dict[str, Any] = {
        "title": {"text": title},
        "tickmode": "array",
        "tickvals": list(at),
        "ticktext": [token(tokens[i], LABEL) for i in at],
        "tickfont": {"family": MONO, "size": 12},
        "showgrid": False,
        "range": [-0.5, len(tokens) - 0.5],
    }
    if not upright:
        axis["autotickangles"] = [0, -45, -90]
    return axis


def fits_flat(tokens: Sequence[str]) -> bool:
    """Whether the labels of a token axis stand side by side on a figure of common width."""
    longest = max((min(LABEL, len(piece)) for piece in tokens), default=0)
    return len(tokens) * (longest + 1) <= 64


def label_room(tokens: Sequence[str]) -> int:
    """Pixels below a heat map that its turned token labels need beyond the usual margin."""
    return 0 if fits_flat(tokens) else 5 * max(min(LABEL, len(piece)) for piece in tokens)


def number_axis(count: int, title: str, *, first: int = 0, names: bool = False) -> dict[str, Any]:
    """Whole numbers from `first`, thinned where they would touch; `names` prefixes the L."""
    step = next(s for s in (1, 2, 4, 8, 16, 32, 64, 10_000) if count <= 24 * s)
    at = list(range(0, count, step))
    return {
        "title": {"text": title},
        "tickmode": "array",
        "tickvals": at,
        "ticktext": [f"L{i}" if names else str(i) for i in at],
        "showgrid": False,
        "range": [first - 0.5, count - 0.5],
    }


def rows_height(rows: int, *, least: int = 6, most: int = 26) -> int:
    """Pixels for that many rows; tall stacks of layers get thinner ones."""
    each = ROW if rows <= 16 else max(10, most * 16 // rows)
    return max(least, rows) * each
