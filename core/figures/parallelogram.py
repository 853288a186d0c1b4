"""The parallelogram of two pairs among the others of their relation, and how it closes by depth."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures import lines
from core.figures.relations import depth_axis, place
from core.figures.theme import Look, colour, drawn, faint
from core.figures.wording import count, number, quoted, readable, token
from core.results.parallelogram import Parallelogram
from core.spec.errors import Error

HEIGHT = 440


def figure(result: Parallelogram, look: Look, *, layer: int | None = None) -> go.Figure:
    """Left: the two pairs in colour, the others in grey. Right: cosine and gap over the depth.

    layer  row of the depth axis, 0 is the embedding; None for the highest cosine
    """
    row = result.best if layer is None else layer
    if not 0 <= row < len(result.rows):
        raise Error(f"layer {row}: this answer has 0 (embedding) to {len(result.rows) - 1}")
    beside: dict[str, Any] = {"xaxis": "x2", "yaxis": "y2"}
    x = np.arange(len(result.rows))
    right = [
        *lines.band(x, result.control_cosine, result.control_high, look, role="control", alpha=0.3),
        lines.curve(x, result.cosine, look, role="a", name="cosine"),
        lines.curve(x, result.control_cosine, look, role="control", name="wrong fourth word",
                    dash="dash", symbol="line-ew"),
        lines.curve(x, result.gap, look, role="b", name="relative gap", dash="longdash",
                    symbol="diamond"),
        lines.curve(x, result.control_gap, look, role="control", name="gap, wrong fourth word",
                    dash="dot", symbol="x"),
    ]  # fmt: skip
    return drawn(
        [*_pairs(result, look, row), *(trace.update(**beside) for trace in right)],
        look,
        title=title(result),
        height=HEIGHT,
        margin={"t": 80},
        xaxis={"title": {"text": "from the first pair to the second (units of the vectors)"},
               "domain": [0, 0.54], "constrain": "domain"},
        yaxis={"title": {"text": "along the mean offset"}, "scaleanchor": "x"},
        xaxis2={**depth_axis(result.rows), "domain": [0.66, 1], "anchor": "y2"},
        yaxis2={"title": {"text": "cosine; relative gap (dashed)"}, "anchor": "x2",
                "range": [min(-0.1, float(np.fmin.reduce(result.cosine)) - 0.05), 2.0]},
        shapes=[{"type": "line", "xref": "x2", "yref": "y2 domain", "x0": row, "x1": row, "y0": 0,
                 "y1": 1, "layer": "below", "line": {"color": faint("muted", look, 0.5),
                                                     "width": 1}}],
    )  # fmt: skip


def title(result: Parallelogram) -> str:
    """The four words, the cosine and its control."""
    row = result.best
    a, b, c, d = (quoted(word, most=18) for word in result.words)
    return (
        f"{a} is to {b} as {c} to {d}: cosine {number(result.cosine[row])} behind "
        f"{place(result.rows[row])} (wrong fourth words {number(result.control_cosine[row])}), "
        f"gap {number(result.gap[row])}"
    )


def caption(result: Parallelogram) -> str:
    """Control and sample, in words."""
    row = result.best
    without = f"; taken out: {', '.join(result.project_out)}" if result.project_out else ""
    return (
        f"control: {count(result.n_wrong, 'second word')} of other pairs in the place of "
        f"the fourth, 95 % below {number(result.control_high[row])}; the plane shows "
        f"{result.inside[row]:.0%} of the four words' spread; {readable(result.relation)[:40]}, "
        f"means over {count(len(result.contexts), 'context')}, {result.read} piece, "
        f"{result.prepare}{without}"
    )


def _pairs(result: Parallelogram, look: Look, row: int) -> list[Any]:
    x, y = result.x[row], result.y[row]
    if not np.isfinite(x[list(result.chosen)]).all():
        raise Error(f"these words have no vector of their own at {place(result.rows[row])}")
    chosen = list(result.chosen)
    rest = [pair for pair in range(len(x)) if pair not in chosen]
    gap = np.full(len(rest), np.nan)
    grey = go.Scatter(
        x=np.stack([x[rest, 0], y[rest, 0], gap], axis=1).ravel(),
        y=np.stack([x[rest, 1], y[rest, 1], gap], axis=1).ravel(),
        mode="lines+markers",
        line={"color": faint("control", look, 0.4), "width": 1},
        marker={"size": 4, "color": faint("control", look, 0.6)},
        hovertext=[
            word
            for pair in rest
            for word in (token(result.first[pair]), token(result.second[pair]), "")
        ],
        hovertemplate="%{hovertext}<extra></extra>",
    )
    traces: list[Any] = [grey]
    for pair, dash in zip(chosen, ("solid", "solid"), strict=True):
        traces.append(_line(x[pair], y[pair], "a", dash, look))
    traces.append(_line(x[chosen[0]], x[chosen[1]], "muted", "dot", look))
    traces.append(_line(y[chosen[0]], y[chosen[1]], "muted", "dot", look))
    corners = np.concatenate([x[chosen], y[chosen]])
    a, b, c, d = result.words
    traces.append(
        go.Scatter(
            x=corners[:, 0], y=corners[:, 1], mode="markers+text",
            text=[token(word, 20) for word in (a, c, b, d)], textposition="top center",
            textfont={"size": 13, "color": colour("text", look)},
            marker={"size": 10, "color": colour("a", look)},
            hovertemplate="%{text}<extra></extra>",
        )
    )  # fmt: skip
    return traces


def _line(one: np.ndarray, other: np.ndarray, role: str, dash: str, look: Look) -> go.Scatter:
    return go.Scatter(
        x=[float(one[0]), float(other[0])], y=[float(one[1]), float(other[1])], mode="lines",
        line={"color": colour(role, look), "width": 2, "dash": dash}, hoverinfo="skip",
    )  # fmt: skip
