"""Layer by head: a number of every head, with its control drawn on the same scale."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures import grid
from core.figures.theme import BOTTOM, TOP, UNSIGNED, Look, colour_bar, drawn, note, signed
from core.figures.wording import escaped, number

MOST_CONTROL_HEADS = 16  # more heads: the control stands in the hover and the caption alone


def head_pair(
    value: np.ndarray,
    control: np.ndarray,
    look: Look,
    *,
    title: str,
    words: str,
    control_words: str,
    unit: str = "",
    limits: tuple[float, float] | None = None,
    more: dict[str, np.ndarray] | None = None,
) -> go.Figure:
    """Two maps [layer, head]; layer 0 at the bottom.

    limits  of the colours; None: symmetric about 0 and wide enough for both maps
    more    further numbers [layer, head] for the hover, by what they are
    """
    n_layers, n_heads = value.shape
    most = float(np.nanmax(np.abs([value, np.nan_to_num(control)]))) or 1.0
    shared: dict[str, Any] = {
        "scale": UNSIGNED if limits else signed(look),
        "limits": limits or (-most, most),
        "hover": _hover(value, control, words, control_words, unit, more or {}, bool(limits)),
    }
    few = n_heads <= 12 and n_layers <= grid.MOST_TEXT_ROWS
    traces = [
        grid.cells(
            value.astype("float32"),
            text=_printed(value, not limits) if few else None,
            bar=colour_bar(escaped(unit or words), look),
            **shared,
        )
    ]
    layout: dict[str, Any] = {"xaxis": grid.number_axis(n_heads, "head")}
    if n_heads <= MOST_CONTROL_HEADS:
        traces.append(grid.cells(control.astype("float32"), xaxis="x2", **shared))
        layout["xaxis"]["domain"] = [0, 0.6]
        layout["xaxis2"] = grid.number_axis(n_heads, "head") | {"domain": [0.64, 1], "anchor": "y"}
        layout["annotations"] = [
            _heading(words, "x domain", look),
            _heading(f"control: {control_words}", "x2 domain", look),
        ]
    return drawn(
        traces,
        look,
        title=title,
        height=TOP + 12 + grid.rows_height(n_layers) + BOTTOM,
        margin={"t": TOP + 12},
        yaxis=grid.number_axis(n_layers, "layer", names=True),
        **layout,
    )


def strongest(value: np.ndarray) -> tuple[int, int]:
    """(layer, head) of the largest number."""
    layer, head = np.unravel_index(int(np.nanargmax(value)), value.shape)
    return int(layer), int(head)


def _printed(z: np.ndarray, sign: bool) -> np.ndarray:
    return np.array([[number(round(float(v), 2), sign=sign) for v in row] for row in z], object)


def _hover(
    value: np.ndarray,
    control: np.ndarray,
    words: str,
    control_words: str,
    unit: str,
    more: dict[str, np.ndarray],
    plain: bool,
) -> np.ndarray:
    end = f" {unit}" if unit else ""
    return np.array(
        [
            [
                f"<b>L{layer}.head[{head}]</b><br>{escaped(words)} "
                f"{number(value[layer, head], sign=not plain)}{end}"
                f"<br>{escaped(control_words)} {number(control[layer, head], sign=not plain)}{end}"
                + "".join(f"<br>{escaped(k)} {number(v[layer, head])}" for k, v in more.items())
                for head in range(value.shape[1])
            ]
            for layer in range(value.shape[0])
        ],
        dtype=object,
    )


def _heading(words: str, domain: str, look: Look) -> dict[str, Any]:
    place: dict[str, Any] = {"x": 0, "y": 1, "xref": domain, "yref": "paper"}
    return note(escaped(words), look, xanchor="left", yanchor="bottom", **place)
