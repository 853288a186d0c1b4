"""Maps layer by head, side by side on one scale: a score, what it stands beside, its control."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures import grid
from core.figures.theme import BOTTOM, TOP, Look, colour_bar, drawn, note, signed
from core.figures.wording import number

GAP = 0.03  # between maps, as a share of the width
TEXT_HEADS = 12  # more heads in all maps of a row: no numbers inside the cells


@dataclass(frozen=True)
class Panel:
    """One map: its heading (plain words of ours), values [layer, head], hover lines alike."""

    heading: str
    values: np.ndarray
    hover: np.ndarray


def maps(
    panels: Sequence[Panel],
    look: Look,
    *,
    title: str,
    unit: str,
    limit: float | None = None,
    **layout: Any,
) -> go.Figure:
    """Red is positive, blue negative, on one scale for all; layer 0 at the bottom.

    limit  the |value| of full colour, when several figures stand side by side
    """
    n_layers, n_heads = panels[0].values.shape
    most = limit or max(largest(panel.values) for panel in panels) or 1.0
    few = n_heads * len(panels) <= TEXT_HEADS and n_layers <= grid.MOST_TEXT_ROWS
    width = (1 - GAP * (len(panels) - 1)) / len(panels)
    traces, axes, notes = [], {}, []
    for place, panel in enumerate(panels):
        name = "x" if place == 0 else f"x{place + 1}"
        traces.append(
            grid.cells(
                panel.values.astype("float32"),
                scale=signed(look),
                limits=(-most, most),
                text=printed(panel.values) if few else None,
                hover=panel.hover,
                bar=colour_bar(unit, look) if place == 0 else None,
                xaxis=name,
            )
        )
        start = place * (width + GAP)
        axis = grid.number_axis(n_heads, "head") | {"anchor": "y", "domain": [start, start + width]}
        axes[name.replace("x", "xaxis")] = axis
        at: dict[str, Any] = {"x": 0, "y": 1, "xref": f"{name} domain", "yref": "paper"}
        notes.append(note(panel.heading, look, xanchor="left", yanchor="bottom", **at))
    return drawn(
        traces,
        look,
        title=title,
        height=TOP + 12 + grid.rows_height(n_layers) + BOTTOM,
        margin={"t": TOP + 12},
        annotations=notes,
        yaxis=grid.number_axis(n_layers, "layer", names=True),
        **axes,
        **layout,
    )


def largest(values: np.ndarray) -> float:
    """The largest |value|; 0 where there is none."""
    finite = np.abs(values[np.isfinite(values)])
    return float(finite.max()) if finite.size else 0.0


def printed(values: np.ndarray) -> np.ndarray:
    """Two digits behind the point with a sign, "" where there is no value."""
    return np.array(
        [
            ["" if np.isnan(v) else number(round(float(v), 2), sign=True) for v in row]
            for row in values
        ],
        dtype=object,
    )


def hovers(shape: tuple[int, ...], line: Any) -> np.ndarray:
    """Hover lines [layer, head] from a function of (layer, head)."""
    return np.array(
        [[line(layer, head) for head in range(shape[1])] for layer in range(shape[0])], dtype=object
    )
