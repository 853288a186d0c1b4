"""Dose and response: what happens as one clamp gets stronger, against random controls."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures.theme import Look, colour, drawn, faint, note, rounded_up
from core.figures.wording import count, number, quoted
from core.results.dose import DoseResult

HEIGHT = 420


def figure(result: DoseResult, look: Look, *, top: float | None = None) -> go.Figure:
    """Above: probability of the watched tokens. Below: how far everything else moved.

    Grey band: the controls' range. Shaded: the natural range |stop| <= 1. Bar on top: the
    usable band. Upright dashes: the tray's own strength.

    top  end of the probability axis, when several curves stand side by side
    """
    shapes, notes = _regions(result, look)
    most = max(float(result.probability.max()), float(result.control_high.max()))
    end = top or min(1.0, rounded_up(most))
    unit = f"strength (1 = {number(result.unit)}, the largest activation observed)"
    return drawn(
        [*_control(result, look), _response(result, look), *_kl(result, look)],
        look,
        title=title(result),
        height=HEIGHT,
        showlegend=True,
        legend={"y": 1.08},
        margin={"t": 84, "r": 16},
        shapes=shapes,
        annotations=notes,
        xaxis={"anchor": "y2", "title": {"text": unit}},
        yaxis={"domain": [0.36, 1], "title": {"text": "probability"}, "range": [0, end * 1.02]},
        yaxis2={
            "domain": [0, 0.3],
            "title": {"text": "KL (nats)"},
            "rangemode": "tozero",
            "nticks": 4,
        },
    )


def title(result: DoseResult) -> str:
    """The usable band, in words."""
    site, words = result.site, quoted(*result.target[:3])
    if not result.band:
        return f"{site}: no strength moves {words} beyond the controls within the KL limit"
    low, high = (number(stop, sign=True) for stop in result.band)
    span = f"at {low}" if low == high else f"from {low} to {high}"
    return f"{site}: usable {span} times the observed maximum, for {words}"


def caption(result: DoseResult) -> str:
    """The control and the sample, in words."""
    return (
        f"watched: {result.target_reason}; control: {count(result.n_controls, 'random unit')} of "
        f"equal norm, range in grey; mean over {count(result.n_tokens, 'token')}; "
        f"KL limit {number(result.kl_limit)} nats per token"
    )


def _response(result: DoseResult, look: Look) -> go.Scatter:
    own = colour("clamped", look)
    return go.Scatter(
        x=result.stop,
        y=result.probability,
        mode="lines+markers",
        name="clamped",
        line={"color": own, "width": 2.5},
        marker={"size": 6, "color": own},
        hovertemplate="strength %{x:+.3~g}<br>probability %{y:.3g}<extra>clamped</extra>",
    )


def _control(result: DoseResult, look: Look) -> list[go.Scatter]:
    edge = {
        "x": result.stop,
        "mode": "lines",
        "line": {"width": 0},
        "hoverinfo": "skip",
        "showlegend": False,
    }
    return [
        go.Scatter(y=result.control_low, **edge),
        go.Scatter(
            y=result.control_high, fill="tonexty", fillcolor=faint("control", look, 0.28), **edge
        ),
        go.Scatter(
            x=result.stop,
            y=result.control_mean,
            mode="lines",
            name=f"control (mean, range of {result.n_controls})",
            line={"color": colour("control", look), "width": 1.5, "dash": "dash"},
            customdata=np.stack([result.control_low, result.control_high], axis=1),
            hovertemplate="strength %{x:+.3~g}<br>probability %{y:.3g}"
            "<br>range %{customdata[0]:.3g} to %{customdata[1]:.3g}<extra>control</extra>",
        ),
        go.Scatter(
            x=result.stop[[0, -1]],
            y=np.repeat(result.base_probability, 2),
            mode="lines",
            name="clean",
            line={"color": colour("a", look), "width": 1.5, "dash": "dot"},
            hovertemplate="probability %{y:.3g}<extra>clean</extra>",
        ),
    ]


def _kl(result: DoseResult, look: Look) -> list[go.Scatter]:
    shared = {"x": result.stop, "yaxis": "y2", "showlegend": False, "mode": "lines"}
    line = "strength %{x:+.3~g}<br>KL %{y:.3g} nats per token"
    return [
        go.Scatter(
            y=result.control_kl,
            line={"color": colour("control", look), "width": 1.5, "dash": "dash"},
            hovertemplate=line + "<extra>control, mean</extra>",
            **shared,
        ),
        go.Scatter(
            y=result.kl,
            line={"color": colour("clamped", look), "width": 2},
            hovertemplate=line + "<extra>clamped</extra>",
            **shared,
        ),
    ]


def _regions(result: DoseResult, look: Look) -> tuple[list[Any], list[Any]]:
    """(shapes, notes): natural range, usable band, the KL limit, the tray's own strength."""
    own, limit = colour("clamped", look), colour("warning", look)
    top: dict[str, Any] = {"xref": "x", "yref": "y domain", "yanchor": "top", "y": 1}
    shapes: list[Any] = [_upright(-1, 1, fillcolor=colour("panel", look), layer="below")]
    notes = [note("natural range", look, x=-1, xanchor="left", **top)]
    if result.band:
        low, high = result.band
        pad = 0.06 if low == high else 0.0  # one stop still gets a width
        low, high = low - pad, high + pad
        shapes.append(_upright(low, high, fillcolor=faint("clamped", look, 0.1), layer="below"))
        bar = _upright(low, high, fillcolor=own) | {"yref": "y domain", "y0": 1, "y1": 1.03}
        shapes.append(bar)
        above = top | {"y": 1.03, "yanchor": "bottom"}
        notes.append(note("usable", look, "clamped", x=(low + high) / 2, **above))
    line = {"color": limit, "width": 1, "dash": "dot"}
    level = {"y0": result.kl_limit, "y1": result.kl_limit, "yref": "y2"}
    shapes.append({"type": "line", "x0": 0, "x1": 1, "xref": "x domain", **level, "line": line})
    at = {"x": 1, "xref": "x domain", "y": result.kl_limit, "yref": "y2"}
    notes.append(note("limit", look, "warning", xanchor="right", yanchor="bottom", **at))
    if result.stop.min() <= result.current <= result.stop.max():
        dashes = {"color": own, "width": 1.2, "dash": "longdash"}
        shapes.append(_upright(result.current, result.current, line=dashes))
        words = f"now [{number(result.current, sign=True)}]"
        at = {"x": result.current, "xref": "x", "y": 1, "yref": "y2 domain", "xshift": 4}
        notes.append(note(words, look, "clamped", xanchor="left", yanchor="top", **at))
    return shapes, notes


def _upright(x0: float, x1: float, **more: Any) -> dict[str, Any]:
    """A rectangle through both plots from x0 to x1."""
    place = {"x0": x0, "x1": x1, "xref": "x", "y0": 0, "y1": 1, "yref": "paper"}
    return {"type": "rect", "line": {"width": 0}, **place, **more}
