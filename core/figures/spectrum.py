"""Dimensions in use: eigenvalues by rank, and what they come to layer by layer."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures.lines import band, curve
from core.figures.theme import Look, colour, drawn, faint, note
from core.figures.wording import count, escaped, number
from core.results.spectrum import MEASURES, Spectrum
from core.spec.errors import Error

VIEWS = ("depth", "eigenvalues")
# Which of the measures the depth view draws, in what order.
PANELS = ("participation", "two_nn", "slope", "n90", "cosine", "top_1")
COLUMNS, CELL = 3, 190  # pixels of a row
BALL = "isotropic Gaussian cloud"


def figure(result: Spectrum, look: Look, *, view: str = "depth", layer: int = -1) -> go.Figure:
    """view   "depth": six measures over the layers, or "eigenvalues" by rank of every layer
    layer  the cloud drawn strongly in the second, counted from 0; -1: the last

    Grey: a Gaussian cloud of as many points. Dotted: the same model with fresh weights.
    """
    if view not in VIEWS:
        raise Error(f"view is one of {', '.join(VIEWS)}, not {str(view)[:40]!r}")
    if view == "eigenvalues" or len(result.clouds) == 1:
        return _eigenvalues(result, look, layer)
    return _depth(result, look)


def _depth(result: Spectrum, look: Look) -> go.Figure:
    n_rows = -(-len(PANELS) // COLUMNS)
    x = np.arange(len(result.clouds), dtype=float)
    traces: list[go.Scatter] = []
    axes: dict[str, Any] = {}
    notes = []
    for place, name in enumerate(PANELS):
        row, column = divmod(place, COLUMNS)
        last = "" if place == 0 else str(place + 1)
        where: dict[str, Any] = {"xaxis": f"x{last}", "yaxis": f"y{last}", "showlegend": place == 0}
        if name == "slope" and np.isfinite(result.slope_low).all():
            for edge in band(x, result.slope_low, result.slope_high, look, role="a"):
                traces.append(edge.update(xaxis=f"x{last}", yaxis=f"y{last}"))
        traces += [
            curve(x, result.values[name], look, role="a", name="this model", **where),
            curve(x, result.control[name], look, role="control", name=BALL, dash="dash",
                  **where).update(mode="lines"),
        ]  # fmt: skip
        if np.isfinite(result.fresh[name]).any():
            traces.append(
                curve(x, result.fresh[name], look, role="control", name="fresh weights",
                      dash="dot", **where).update(mode="lines")
            )  # fmt: skip
        left, top = column / COLUMNS, 1 - row / n_rows
        axes[f"xaxis{last}"] = {
            "domain": [left + 0.03, left + 1 / COLUMNS - 0.02],
            "anchor": f"y{last}",
            "title": {"text": "layer (0: embedding)" if row == n_rows - 1 else ""},
            "nticks": 7,
            "showgrid": False,
        }
        axes[f"yaxis{last}"] = {
            "domain": [top - 1 / n_rows + 0.1, top - 0.08],
            "anchor": f"x{last}",
            "nticks": 5,
            "rangemode": "normal" if name == "slope" else "tozero",
        }
        notes.append(
            note(MEASURES[name], look, role="text", x=left + 0.03, y=top - 0.07, xref="paper",
                 yref="paper", xanchor="left", yanchor="bottom")
        )  # fmt: skip
    return drawn(
        traces, look, title=title(result), height=CELL * n_rows + 120, annotations=notes,
        showlegend=True, legend={"y": 1.0}, margin={"t": 80, "l": 40, "r": 12}, **axes,
    )  # fmt: skip


def _eigenvalues(result: Spectrum, look: Look, layer: int) -> go.Figure:
    rank = np.arange(1, result.eigenvalues.shape[1] + 1, dtype=float)
    strong = layer % len(result.clouds)
    traces = []
    for number_, (name, shares) in enumerate(zip(result.clouds, result.eigenvalues, strict=True)):
        own = number_ == strong
        traces.append(
            go.Scatter(
                x=rank,
                y=np.where(shares > 1e-12, shares, np.nan),
                mode="lines",
                name=escaped(name),
                showlegend=own,
                line={
                    "color": colour("a", look) if own else faint("a", look, 0.3),
                    "width": 2.5 if own else 1,
                },
                hovertemplate=f"{escaped(name)}<br>rank %{{x}}: %{{y:.2~%}}<extra></extra>",
            )
        )
    traces.append(traces.pop(strong))  # on top of the others
    traces.append(
        go.Scatter(
            x=rank,
            y=np.where(result.control_eigenvalues > 0, result.control_eigenvalues, np.nan),
            mode="lines",
            name=BALL,
            line={"color": colour("control", look), "width": 2, "dash": "dash"},
            hovertemplate=f"{BALL}<br>rank %{{x}}: %{{y:.2~%}}<extra></extra>",
        )
    )
    fitted = {
        "type": "rect", "xref": "x", "yref": "paper", "x0": result.first_rank,
        "x1": result.last_rank, "y0": 0, "y1": 1, "line": {"width": 0}, "layer": "below",
        "fillcolor": faint("control", look, 0.08),
    }  # fmt: skip
    low = max(-7.0, float(np.log10(max(1e-12, result.eigenvalues.min()))))
    return drawn(
        traces, look, title=title(result), height=440, shapes=[fitted], showlegend=True,
        legend={"y": 1.0}, margin={"t": 80},
        xaxis={"type": "log", "dtick": 1, "title": {"text": "rank"}},
        yaxis={"type": "log", "dtick": 1, "title": {"text": "share of the variance"},
               "exponentformat": "power",
               "range": [low, 0.1]},
    )  # fmt: skip


def title(result: Spectrum) -> str:
    """Where most and fewest dimensions are used, beside a Gaussian cloud."""
    ratio, ball = result.values["participation"], result.control["participation"][0]
    least, most = int(np.argmin(ratio)), int(np.argmax(ratio))
    if len(ratio) == 1:
        return (
            f"{result.clouds[0]}: variance as of {number(ratio[0])} equal dimensions; a Gaussian "
            f"cloud {number(ball)}"
        )
    return (
        f"variance as of {number(ratio[least])} equal dimensions at {result.clouds[least]}, "
        f"{number(ratio[most])} at {result.clouds[most]}; a Gaussian cloud {number(ball)}"
    )


def caption(result: Spectrum) -> str:
    """Sample, control and what the fit leaves out, in words."""
    where = f" of {escaped(result.corpus)}" if result.corpus else ""
    massive = max(map(len, result.massive), default=0)
    most = f"; up to {count(massive, 'massive dimension')}" if massive else ""
    notes = "".join(f"; {escaped(one)}" for one in result.notes)
    return (
        f"{count(result.n_points, 'point')}{where}, neighbours and cosines on "
        f"{result.n_sample:,}; slope over ranks {result.first_rank} to {result.last_rank}{most}; "
        f"control: {BALL} of as many points{notes}"
    )
