"""Dose and response: what happens as one clamp gets stronger, against random controls."""

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from core.figures.theme import Look, colour, faint, laid_out
from core.figures.wording import count, escaped, number, quoted
from core.results.dose import DoseResult

HEIGHT = 420


def figure(result: DoseResult, look: Look) -> go.Figure:
    """Above: probability of the watched tokens. Below: how far everything else moved.

    Grey band: the controls' range. Shaded: the natural range |stop| <= 1. Bar on top: the
    usable band. Diamond: the tray's own strength.
    """
    fig = make_subplots(
        rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.06, row_heights=[0.68, 0.32]
    )
    for trace in (*_control(result, look), _response(result, look)):
        fig.add_trace(trace, row=1, col=1)
    for trace in _kl(result, look):
        fig.add_trace(trace, row=2, col=1)
    laid_out(fig, look, title=title(result), height=HEIGHT)
    fig.update_layout(
        showlegend=True,
        legend={"orientation": "h", "x": 0, "y": 1.04, "yanchor": "bottom", "font": {"size": 12}},
        margin={"t": 84, "r": 16},
        hovermode="closest",
    )
    fig.update_xaxes(zeroline=False, showgrid=True)
    fig.update_xaxes(
        title=f"strength (1 = {number(result.unit)}, the largest activation observed)",
        row=2,
        col=1,
    )
    fig.update_yaxes(title="probability", range=[0, 1.02], row=1, col=1)
    fig.update_yaxes(title="KL (nats)", rangemode="tozero", nticks=4, row=2, col=1)
    _regions(fig, result, look)
    _current(fig, result, look)
    return fig


def title(result: DoseResult) -> str:
    """The usable band, as the figure says it (escaped)."""
    site, words = escaped(result.site), quoted(result.target[:3], 10)
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
            name=f"control, mean and range of {result.n_controls}",
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
    shared = {"x": result.stop, "showlegend": False, "mode": "lines"}
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


def _regions(fig: go.Figure, result: DoseResult, look: Look) -> None:
    """The natural range behind both plots, the usable band as a bar, the KL limit as a line."""
    fig.add_vrect(
        x0=-1, x1=1, row="all", col=1, line_width=0, layer="below", fillcolor=colour("panel", look)
    )
    fig.add_annotation(
        text="natural range",
        x=-1,
        y=1,
        xref="x",
        yref="y domain",
        xanchor="left",
        yanchor="top",
        showarrow=False,
        font={"size": 11, "color": colour("muted", look)},
    )
    if result.band:
        low, high = result.band
        pad = 0.06 if low == high else 0.0
        fig.add_shape(
            type="rect",
            x0=low - pad,
            x1=high + pad,
            y0=1.0,
            y1=1.03,
            xref="x",
            yref="y domain",
            line_width=0,
            fillcolor=colour("clamped", look),
        )
        fig.add_vrect(
            x0=low - pad,
            x1=high + pad,
            row="all",
            col=1,
            line_width=0,
            layer="below",
            fillcolor=faint("clamped", look, 0.1),
        )
        fig.add_annotation(
            text="usable",
            x=(low + high) / 2,
            y=1.03,
            xref="x",
            yref="y domain",
            yanchor="bottom",
            showarrow=False,
            font={"size": 11, "color": colour("clamped", look)},
        )
    fig.add_hline(
        y=result.kl_limit,
        row=2,
        col=1,
        line={"color": colour("warning", look), "width": 1, "dash": "dot"},
        annotation_text="limit",
        annotation_position="top left",
        annotation_font={"size": 11, "color": colour("warning", look)},
    )


def _current(fig: go.Figure, result: DoseResult, look: Look) -> None:
    """A line at the tray's own strength, where it lies inside the stops."""
    if not result.stop.min() <= result.current <= result.stop.max():
        return
    fig.add_vline(
        x=result.current,
        row="all",
        col=1,
        line={"color": colour("clamped", look), "width": 1.2, "dash": "longdash"},
    )
    fig.add_annotation(
        text=f"now [{number(result.current, sign=True)}]",
        x=result.current,
        y=0,
        xref="x",
        yref="y domain",
        xanchor="left",
        yanchor="bottom",
        xshift=4,
        showarrow=False,
        font={"size": 11, "color": colour("clamped", look)},
        bgcolor=faint("background", look, 0.8),
    )
