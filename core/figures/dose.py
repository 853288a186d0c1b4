"""Dose and response: what happens as one change gets stronger, against random controls."""

from itertools import pairwise
from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures.theme import Look, colour, drawn, faint, note, rounded_up
from core.figures.wording import count, number, quoted
from core.results.dose import DoseResult

HEIGHT = 470
ROOMY = 0.3  # share of the axis that a long word needs in a narrow window
KINDS = {
    "clamp": "set to",
    "add": "added",
    "scale": "times",
    "limit": "limited at",
    "project": "share taken out",
}


def figure(
    result: DoseResult, look: Look, *, top: float | None = None, current: float | None = None
) -> go.Figure:
    """Above: probability of the watched tokens. Below: what breaks elsewhere.

    Grey band: 95 % of the controls. Shaded: what the reference text itself shows. Bar on top:
    usable, no effect or broken. Upright dashes: the strength set now. A diamond: the best usable.

    top      end of the probability axis, when several curves stand side by side
    current  the strength set now in steps, when it is not the one that was asked with
    """
    now = result.current if current is None else current
    shapes, notes = _regions(result, look, now)
    most = max(float(result.probability.max()), float(result.control_high.max()))
    end = top or min(1.0, rounded_up(most))
    return drawn(
        [*_control(result, look), *_response(result, look), *_damage(result, look)],
        look,
        title=title(result),
        height=HEIGHT,
        showlegend=True,
        legend={"y": 1.1},
        margin={"t": 100, "r": 16},
        shapes=shapes,
        annotations=notes,
        xaxis={"anchor": "y2", "title": {"text": axis(result)}},
        yaxis={"domain": [0.42, 1], "title": {"text": "probability"}, "range": [0, end * 1.02]},
        yaxis2={
            "domain": [0, 0.34],
            "title": {"text": "nats per token"},
            "rangemode": "tozero",
            "nticks": 4,
        },
    )


def axis(result: DoseResult) -> str:
    """What a step of strength is."""
    word = KINDS.get(result.kind, result.kind)
    if result.kind in ("scale", "project"):
        return f"strength: {word} this"
    origin = f"{number(result.origin)} + " if result.origin else ""
    share = result.stream_share
    words = _short(result.unit_words) + (
        f", {number(100 * share)} % of the stream" if share else ""
    )
    return f"strength: {word} {origin}this × {number(result.unit)} ({words})"


def _short(words: str) -> str:
    return "99.9th percentile" if words.startswith("the 99.9th") else words


def title(result: DoseResult) -> str:
    """The usable band and the best strength in it, in words."""
    site, words = result.site, quoted(*result.target[:3])
    if not result.band:
        if result.lowering:
            return f"{site}: lowers {words} {_span(result.lowering)}; no strength raises them"
        return f"{site}: no strength moves {words} beyond the controls while neutral text holds"
    best = f"; best usable {number(result.best[0], sign=True)}" if result.best else ""
    return f"{site}: raises {words} {_span(result.band)}{best}"


def _span(band: tuple[float, ...]) -> str:
    low, high = (number(stop, sign=True) for stop in band)
    return f"at {low}" if low == high else f"from {low} to {high}"


def caption(result: DoseResult) -> str:
    """The controls and the samples, in words."""
    at = f" at {count(len(result.control_stop), 'strength')}"
    measured = f"; unit from {result.n_reference:,} tokens" if result.n_reference else ""
    return (
        f"watched: {result.target_reason}; control: {count(result.n_controls, 'random change')} "
        f"of equal norm{at}, 95 % range in grey; mean over {count(result.n_tokens, 'token')}; "
        f"broken: loss of a neutral text of {result.n_neutral} tokens up by "
        f"{number(result.loss_limit)} nats or more (control: mean of {result.n_neutral_controls})"
        f"{measured}"
    )


def _response(result: DoseResult, look: Look) -> list[go.Scatter]:
    own = colour("clamped", look)
    hover = "strength %{x:+.3~g}<br>probability %{y:.3g}<br>%{customdata}<extra>changed</extra>"
    curve = go.Scatter(
        x=result.stop,
        y=result.probability,
        mode="lines+markers",
        name="changed",
        line={"color": own, "width": 2.5},
        marker={"size": 6, "color": own},
        customdata=np.array(result.state),
        hovertemplate=hover,
    )
    if not result.best:
        return [curve]
    at = int(np.abs(result.stop - result.best[0]).argmin())
    mark = go.Scatter(
        x=result.stop[at : at + 1],
        y=result.probability[at : at + 1],
        mode="markers",
        name="best usable",
        marker={"size": 13, "symbol": "diamond-open", "color": own, "line": {"width": 2.5}},
        hoverinfo="skip",
    )
    return [curve, mark]


def _control(result: DoseResult, look: Look) -> list[go.Scatter]:
    edge = {
        "x": result.control_stop,
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
            x=result.control_stop,
            y=result.control_mean,
            mode="lines",
            name=f"control (mean, 95 % of {result.n_controls})",
            line={"color": colour("control", look), "width": 1.5, "dash": "dash"},
            customdata=np.stack([result.control_low, result.control_high], axis=1),
            hovertemplate="strength %{x:+.3~g}<br>probability %{y:.3g}"
            "<br>95 %% %{customdata[0]:.3g} to %{customdata[1]:.3g}<extra>control</extra>",
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


def _damage(result: DoseResult, look: Look) -> list[go.Scatter]:
    """Loss increase on the neutral text, its control, and KL on the prompt."""
    own, chance = colour("clamped", look), colour("control", look)
    lines = (
        ("KL on the prompt", result.stop, result.kl, own, "dot", 1.2),
        ("control", result.control_stop, result.control_neutral_loss, chance, "dash", 1.5),
        ("neutral text", result.stop, result.neutral_loss, own, "solid", 2.0),
    )
    words = {"neutral text": "loss of the neutral text", "control": "the same, control"}
    return [
        go.Scatter(
            x=x,
            y=y,
            yaxis="y2",
            showlegend=name == "KL on the prompt",
            name=name,
            mode="lines",
            line={"color": line, "width": width, "dash": dash},
            hovertemplate=f"{words.get(name, name)}<br>strength %{{x:+.3~g}}"
            "<br>%{y:+.3g} nats per token<extra></extra>",
        )
        for name, x, y, line, dash, width in lines
    ]


def _regions(result: DoseResult, look: Look, now: float) -> tuple[list[Any], list[Any]]:
    """(shapes, notes): natural range, the state of every stop, the limit, the strength now."""
    own, limit = colour("clamped", look), colour("warning", look)
    shapes, notes = _states(result, look)
    if result.natural:
        low = max(float(result.stop.min()), result.natural[0])
        high = min(float(result.stop.max()), result.natural[1])
        shapes.append(_upright(low, high, fillcolor=colour("panel", look), layer="below"))
        top: dict[str, Any] = {"xref": "x", "yref": "y domain", "yanchor": "top", "y": 1}
        notes.append(note("natural range", look, x=low, xanchor="left", **top))
    line = {"color": limit, "width": 1, "dash": "dot"}
    level = {"y0": result.loss_limit, "y1": result.loss_limit, "yref": "y2"}
    shapes.append({"type": "line", "x0": 0, "x1": 1, "xref": "x domain", **level, "line": line})
    at = {"x": 1, "xref": "x domain", "y": result.loss_limit, "yref": "y2"}
    notes.append(note("limit", look, "warning", xanchor="right", yanchor="bottom", **at))
    heading: dict[str, Any] = {"x": 0, "xref": "x domain", "y": 1, "yref": "y2 domain"}
    words = "loss of the neutral text, increase"
    notes.append(note(words, look, xanchor="left", yanchor="bottom", **heading))
    if result.stop.min() <= now <= result.stop.max():
        dashes = {"color": own, "width": 1.2, "dash": "longdash"}
        shapes.append(_upright(now, now, line=dashes))
        at = {"x": now, "xref": "x", "y": 1, "yref": "y2 domain", "xshift": 4}
        words = f"now [{number(now, sign=True)}]"
        notes.append(note(words, look, "clamped", xanchor="left", yanchor="top", **at))
    return shapes, notes


def _states(result: DoseResult, look: Look) -> tuple[list[Any], list[Any]]:
    """The bar above the plot: usable, no effect, broken, each named once by its widest part."""
    colours = {
        "raises": colour("clamped", look),
        "lowers": faint("clamped", look, 0.45),
        "no effect": faint("control", look, 0.5),
        "broken": colour("warning", look),
    }
    shapes, notes, widest = [], [], dict[str, tuple[float, float]]()
    for state, low, high in _runs(result):
        bar = _upright(low, high, fillcolor=colours.get(state, colours["no effect"]))
        shapes.append(bar | {"yref": "y domain", "y0": 1.0, "y1": 1.025})
        if high - low > widest.get(state, (0.0, 0.0))[1]:
            widest[state] = ((low + high) / 2, high - low)
    span = float(result.stop[-1] - result.stop[0]) or 1.0
    for state, (middle, width) in widest.items():
        above: dict[str, Any] = {"x": middle, "xref": "x", "y": 1.03, "yref": "y domain"}
        role = "warning" if state == "broken" else "muted" if state == "no effect" else "clamped"
        words = f"usable: {state}" if role == "clamped" and width / span > ROOMY else state
        notes.append(note(words, look, role, yanchor="bottom", **above))
    return shapes, notes


def _runs(result: DoseResult) -> list[tuple[str, float, float]]:
    """(state, from, to) of neighbouring stops in one state; borders lie halfway between stops."""
    stops = [float(stop) for stop in result.stop]
    edges = [stops[0], *((a + b) / 2 for a, b in pairwise(stops)), stops[-1]]
    found: list[tuple[str, float, float]] = []
    for number_, state in enumerate(result.state):
        low, high = edges[number_], edges[number_ + 1]
        if found and found[-1][0] == state:
            found[-1] = (state, found[-1][1], high)
        else:
            found.append((state, low, high))
    return found


def _upright(x0: float, x1: float, **more: Any) -> dict[str, Any]:
    """A rectangle through both plots from x0 to x1."""
    place = {"x0": x0, "x1": x1, "xref": "x", "y0": 0, "y1": 1, "yref": "paper"}
    return {"type": "rect", "line": {"width": 0}, **place, **more}
