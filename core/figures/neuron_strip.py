"""All neurons of a model, one thin row a layer: any statistic as brightness.

More neurons than columns: neighbours share a cell, which shows the strongest of them.
"""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures import grid
from core.figures.theme import BOTTOM, TOP, UNSIGNED, Look, colour_bar, drawn, rounded_up, signed
from core.figures.wording import escaped

COLUMNS = 512  # about what a screen can show and a mouse can hit


def pooled(values: np.ndarray, columns: int = COLUMNS) -> tuple[np.ndarray, np.ndarray]:
    """(value, neuron) [layer, column] of the strongest neuron of every cell, by |value|.

    values  [layer, neuron], NaN is no value; a cell without any keeps NaN and its first neuron
    """
    n_layers, n_neurons = values.shape
    each = -(-n_neurons // columns)
    cells = -(-n_neurons // each)
    padded = np.full((n_layers, cells * each), np.nan, dtype=np.float32)
    padded[:, :n_neurons] = values
    blocks = padded.reshape(n_layers, cells, each)
    best = np.where(np.isnan(blocks), -1.0, np.abs(blocks)).argmax(axis=2)
    shown = np.take_along_axis(blocks, best[:, :, None], axis=2)[:, :, 0]
    return shown, np.arange(cells)[None] * each + best


def figure(
    values: np.ndarray,
    look: Look,
    *,
    title: str,
    words: str,
    diverging: bool,
    limit: float | None = None,
) -> go.Figure:
    """Row l is layer l, column the neuron (or the strongest of a group), colour the value.

    values  [layer, neuron]; `words` names quantity and unit on the colour bar; `diverging`
            scales are symmetric about 0; `limit` is the value of full colour (default: the
            99.9th percentile of |value|, so that one outlier does not darken all others)
    """
    shown, neurons = pooled(values)
    known = np.abs(values[np.isfinite(values)])
    high = limit or rounded_up(float(np.quantile(known, 0.999)) if known.size else 1.0)
    each = -(-values.shape[1] // shown.shape[1])
    name = "neuron" if each == 1 else f"neurons, {each} a cell (the strongest is shown)"
    cells = grid.cells(
        shown,
        scale=signed(look) if diverging else UNSIGNED,
        limits=(-high if diverging else 0.0, high),
        bar=colour_bar(words, look),
        customdata=neurons,
        hovertemplate="L%{y}.neuron[%{customdata}]<br>"
        + escaped(words)
        + " %{z:.3~g}<extra></extra>",
    )
    cells.update(xgap=0, ygap=1 if values.shape[0] <= grid.MOST_GAPS else 0)
    return drawn(
        [cells],
        look,
        title=title,
        height=TOP + _height(values.shape[0]) + BOTTOM,
        xaxis=_columns(shown.shape[1], each, name),
        yaxis=grid.number_axis(values.shape[0], "layer", names=True),
    )


def _height(layers: int) -> int:
    return max(120, layers * max(9, min(30, 420 // layers)))


def _columns(cells: int, each: int, title: str) -> dict[str, Any]:
    """Ticks at round neuron numbers."""
    step = next(s for s in (8, 16, 32, 64, 128, 256, 512) if cells <= 10 * s)
    at = list(range(0, cells, step))
    return {
        "title": {"text": title},
        "tickmode": "array",
        "tickvals": at,
        "ticktext": [f"{i * each:,}" for i in at],
        "showgrid": False,
        "range": [-0.5, cells - 0.5],
    }
