"""Two models of one shape, cell by cell: the change, and beside it the change of the controls."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures import grid
from core.figures.lines import band, curve
from core.figures.neuron_strip import pooled
from core.figures.theme import Look, colour_bar, drawn, note, signed
from core.figures.wording import count, escaped, number, token
from core.results.difference import Difference
from core.spec.errors import Error

GAP = 0.03
MOST_HOVERS = 2_000
MOST_COLUMNS = 512  # as in the strip of neurons


def figure(result: Difference, look: Look, *, measure: str = "") -> go.Figure:
    """Left: second minus first, layer by column. Right: the same of the controls, the noise.

    measure  one of the answer's; "" for the first
    """
    measure = measure or next(iter(result.change))
    if measure not in result.change:
        known = ", ".join(list(result.change)[:8])
        raise Error(f"no measure {measure[:40]!r}; there are {known}")
    if not result.axis:
        return _curve(result, look, measure)
    change, noise, places = shown(result, measure)
    limit = max(1e-9, float(np.nanmax(np.abs(change))))
    many = change.shape != result.change[measure].shape
    layers, columns = change.shape
    bar = colour_bar(f"{result.units[measure]}, B − A", look)
    traces, axes, notes = [], {}, []
    for place, (part, words) in enumerate(((change, "B − A"), (noise, "controls, B − A"))):
        last = "" if place == 0 else "2"
        trace = grid.cells(
            part.astype("float32"), scale=signed(look), limits=(-limit, limit),
            hover=_hover(result, measure, part, words), bar=bar if place == 0 else None,
            hovertemplate="%{hovertext}<extra></extra>" if change.size <= MOST_HOVERS
            else f"layer %{{y}}, {result.axis} %{{customdata}}: %{{z:+.3g}}<extra></extra>",
            customdata=places, xaxis=f"x{last}",
        )  # fmt: skip
        traces.append(trace)
        left = place * (0.5 + GAP / 2)
        axis: dict[str, Any] = (
            grid.token_axis(result.columns, result.axis)
            if result.columns
            else {
                "title": {"text": f"{result.axis}s, the largest change of each cell"}
                if many
                else {"text": result.axis},
                "range": [-0.5, columns - 0.5],
            }
        )
        domain = [left, min(1.0, left + 0.5 - GAP / 2)]
        axes[f"xaxis{last}"] = {**axis, "domain": domain, "showgrid": False}
        notes.append(
            note(words, look, x=left, y=1, xref="paper", yref="paper", xanchor="left",
                 yanchor="bottom")
        )  # fmt: skip
    return drawn(
        traces, look, title=title(result, measure), height=150 + max(130, 24 * layers),
        annotations=notes, **axes,
        yaxis={"title": {"text": "layer"}, "range": [-0.5, layers - 0.5], "showgrid": False},
    )  # fmt: skip


def shown(result: Difference, measure: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(change, noise, column) [layer, cell] of what is drawn.

    More columns than a screen can show: a cell is the largest change among neighbours, and the
    noise of that column.
    """
    change, noise = result.change[measure], result.noise[measure]
    cells, places = pooled(change, MOST_COLUMNS)
    return cells, np.take_along_axis(noise, np.minimum(places, noise.shape[1] - 1), axis=1), places


def _curve(result: Difference, look: Look, measure: str) -> go.Figure:
    change, limit = result.change[measure][:, 0], float(result.threshold[measure][0])
    x = np.arange(len(change))
    return drawn(
        [
            *band(x, np.full(len(x), -limit), np.full(len(x), limit), look, role="control"),
            curve(x, change, look, role="b", name="B − A"),
            curve(x, result.noise[measure][:, 0], look, role="control", name="controls, B − A",
                  dash="dash"),
        ],
        look, title=title(result, measure), height=320, showlegend=True, legend={"y": 1.02},
        margin={"t": 72},
        xaxis={"title": {"text": "layer (0: embedding)"}},
        yaxis={"title": {"text": f"{measure}, B − A"}, "zeroline": True},
    )  # fmt: skip


def title(result: Difference, measure: str = "") -> str:
    """The cell that changed most, and how many changed beyond the noise."""
    measure = measure or next(iter(result.change))
    change = result.change[measure]
    row, column = result.largest(measure, 1)[0]
    where = f"layer {row}" if not result.axis else f"L{row}, {_column(result, column)}"
    n = int(result.beyond(measure).sum())
    limit = float(result.threshold[measure][0])
    beside = f" (noise {number(limit)})" if limit else ""
    told = "beyond the noise" if limit else "changed; there is no control to compare it with"
    return (
        f"{measure.replace('_', ' ')}: largest change {number(change[row, column], sign=True)}"
        f"{beside} at {where}; {count(n, 'cell')} of {change.size:,} {told}"
    )


def caption(result: Difference) -> str:
    """What was compared, and what the noise is, in words."""
    one, other = (escaped(name) for name in result.models)
    return (
        f"{other} minus {one}, the same question to both; noise: what 95 of 100 cells of the "
        "difference of their controls stay below"
    )


def _column(result: Difference, column: int) -> str:
    if result.columns:
        return f"{token(result.columns[column], 14)} ({column})"
    return f"{result.axis} {column}"


def _hover(result: Difference, measure: str, part: np.ndarray, words: str) -> np.ndarray | None:
    if part.size > MOST_HOVERS:
        return None
    lines = [
        [
            f"L{row}, {_column(result, column)}<br>{words} {number(value, sign=True)} "
            f"{result.units[measure]}"
            for column, value in enumerate(values)
        ]
        for row, values in enumerate(part)
    ]
    return np.array(lines, dtype=object)
