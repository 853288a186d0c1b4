"""The circle (or line) of classes in their order, at one depth and over all of them."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures import lines
from core.figures.probe_family import layers, state
from core.figures.theme import Look, colour, drawn, faint, note
from core.figures.wording import count, escaped, number, quoted, readable, token
from core.results.circle import Circle
from core.spec.errors import Error

VIEWS = ("plane", "held out", "layers", "indices", "frequencies")
HEIGHT = 440
MOST_NAMED = 60  # classes whose words are written beside their points


def figure(
    result: Circle, look: Look, *, view: str = "plane", layer: int | None = None
) -> go.Figure:
    """The best plane of class means, joined in their order, beside the error at every depth.

    view   "plane"; "held out": where the other classes say each one lies; "layers": error and
           order test; "indices": separability and mixture; "frequencies": how often the classes
           go round
    layer  row of the stream, 0 is the embedding; None for the best one
    """
    row = result.best if layer is None else layer
    if not 0 <= row <= result.n_layers:
        raise Error(f"layer {row}: this answer has 0 (embedding) to {result.n_layers}")
    if view in ("plane", "held out") and not np.isfinite(result.error[row]):
        raise Error(f"the words have one and the same state behind {state(row)}; choose another")
    match view:
        case "plane":
            return _plane(result, look, row)
        case "held out":
            return _held_out(result, look, row)
        case "layers":
            return _layers(result, look, row)
        case "indices":
            return _indices(result, look, row)
        case "frequencies":
            return _frequencies(result, look, row)
    raise Error(f"the circle can show {', '.join(VIEWS)}, not {str(view)[:20]!r}")


def title(result: Circle) -> str:
    """The best layer with its error, chance and the order test, in words."""
    row = result.best
    unit = "rad" if result.period else "steps"
    shape = "on a circle" if result.period else "on a line"
    verdict = "lie" if result.shown(row) else "do not clearly lie"
    return (
        f"{readable(result.concept)[:40]}: {count(len(result.words), 'word')} {verdict} {shape}; "
        f"best behind {state(row)}, held-out error {number(result.error[row])} {unit} "
        f"({number(result.error_chance[row])} in other orders), order "
        f"{number(result.order[row])}, p {_p(result.order_p[row])}"
    )


def caption(result: Circle) -> str:
    """Controls, sample and what was left out, in words."""
    row = result.best
    which = "all" if result.every_order else "random"
    dropped = ""
    if result.dropped:
        dropped = f"; not read: {quoted(*(word for word, _ in result.dropped[:5]))}"
    return (
        f"control: {count(result.n_orders, 'other order')} ({which}), 5 % of them have an error "
        f"below {number(result.error_low[row])}; error p {_p(result.error_p[row])}; "
        f"{result.k} components, in sample R² {number(result.r2[row])}; roundness "
        f"{number(result.roundness[row])} (Gaussian points 0.52); means over "
        f"{count(len(result.contexts), 'context')}, {result.read} piece, {result.prepare}; "
        f"seed {result.seed}{dropped}"
    )


def _p(p: float) -> str:
    """p as it is printed: no smaller than one of ten thousand."""
    return number(round(float(p), 4))


def _plane(result: Circle, look: Look, row: int) -> go.Figure:
    one, other = (int(at) for at in result.plane[row])
    span = float(np.abs(result.place[row]).max()) * 1.25
    axes = {
        "xaxis": {"title": {"text": _component(result, row, one)}, "domain": [0, 0.56],
                  "range": [-span, span]},
        "yaxis": {"title": {"text": _component(result, row, other)}, "scaleanchor": "x",
                  "range": [-span, span], "constrain": "domain"},
        "xaxis2": {**layers(len(result.error)), "domain": [0.68, 1], "anchor": "y2"},
        "yaxis2": {**_error_axis(result), "anchor": "x2"},
    }  # fmt: skip
    beside = {"xaxis": "x2", "yaxis": "y2"}
    traces = [*_states(result, look, row), *_error(result, look, row, **beside)]
    return drawn(traces, look, title=title(result), height=HEIGHT, margin={"t": 80}, **axes)


def _states(result: Circle, look: Look, row: int) -> list[Any]:
    place, point = result.place[row], result.point[row]  # [class, 2], [context, class, 2]
    joined = np.arange(len(place))
    if result.period == len(place):
        joined = np.append(joined, 0)
    names = [token(word) for word in result.words]
    said = [
        f"{name}<br>{escaped(readable(context)[:60])}"
        for context in result.contexts
        for name in names
    ]
    single = go.Scatter(
        x=point[..., 0].ravel(),
        y=point[..., 1].ravel(),
        mode="markers",
        marker={"size": 5, "color": faint("a", look, 0.35)},
        hovertext=said,
        hovertemplate="%{hovertext}<br>(%{x:.3~g}, %{y:.3~g})<extra></extra>",
        showlegend=False,
    )
    line = go.Scatter(
        x=place[joined, 0], y=place[joined, 1], mode="lines", hoverinfo="skip",
        line={"color": faint("a", look, 0.5), "width": 1.5}, showlegend=False,
    )  # fmt: skip
    few = len(names) <= MOST_NAMED
    mean = go.Scatter(
        x=place[:, 0],
        y=place[:, 1],
        mode="markers+text" if few else "markers",
        text=names if few else None,
        textposition="top center",
        textfont={"color": colour("text", look), "size": 12},
        marker={"size": 9, "color": colour("a", look)},
        customdata=np.arange(len(names)),
        hovertext=names,
        hovertemplate="%{hovertext}, mean of its contexts<extra></extra>",
        showlegend=False,
    )
    return [single, line, mean]


def _component(result: Circle, row: int, number_: int) -> str:
    share = result.variance[row, number_]
    return f"component {number_ + 1} of the means ({share:.0%})"


def _error_axis(result: Circle) -> dict[str, Any]:
    if result.period:
        return {"title": {"text": "held-out error (radians)"}, "range": [0, 3.2]}
    return {"title": {"text": "held-out error (steps)"}, "rangemode": "tozero"}


def _error(result: Circle, look: Look, row: int, **place: Any) -> list[Any]:
    """The error by layer, the range of other orders in grey, a ring at the layer shown."""
    x = np.arange(len(result.error))
    band = lines.band(x, result.error_low, result.error_chance, look, role="control", alpha=0.25)
    chance = lines.curve(
        x, result.error_chance, look, role="control", name="other orders, mean", dash="dash",
        symbol="line-ew", showlegend=False,
    )  # fmt: skip
    own = lines.curve(x, result.error, look, role="a", name="in their order", showlegend=False)
    ring = go.Scatter(
        x=[float(row)], y=[float(result.error[row])], mode="markers", hoverinfo="skip",
        marker={"size": 15, "symbol": "circle-open", "color": colour("text", look),
                "line": {"width": 2}}, showlegend=False,
    )  # fmt: skip
    return [trace.update(**place) for trace in (*band, chance, own, ring)]


def _held_out(result: Circle, look: Look, row: int) -> go.Figure:
    if not result.period:
        return _held_out_line(result, look, row)
    said, truth = result.held_out[row], result.target
    names = [token(word) for word in result.words]
    turn = np.linspace(0, 2 * np.pi, 181)
    gap = np.full(len(said), np.nan)
    traces = [
        go.Scatter(x=np.cos(turn), y=np.sin(turn), mode="lines", hoverinfo="skip",
                   line={"color": colour("hairline", look), "width": 2}),
        go.Scatter(x=np.stack([truth[:, 0], said[:, 0], gap], 1).ravel(),
                   y=np.stack([truth[:, 1], said[:, 1], gap], 1).ravel(), mode="lines",
                   hoverinfo="skip", line={"color": faint("a", look, 0.5), "width": 1.5}),
        go.Scatter(x=truth[:, 0] * 1.12, y=truth[:, 1] * 1.12, mode="text", text=names,
                   textfont={"color": colour("muted", look)}, hoverinfo="skip"),
        go.Scatter(x=said[:, 0], y=said[:, 1], mode="markers", hovertext=names,
                   hovertemplate="%{hovertext}, said by the other words<extra></extra>",
                   customdata=np.arange(len(names)),
                   marker={"size": 9, "color": colour("a", look)}),
    ]  # fmt: skip
    span = max(1.35, float(np.abs(said).max()) * 1.1)
    words = (
        f"mean angle {number(result.error[row])} rad; other orders "
        f"{number(result.error_chance[row])}, 5 % below {number(result.error_low[row])}"
    )
    return drawn(
        traces,
        look,
        title=f"Where the other words say that each one lies, behind {state(row)}",
        height=HEIGHT,
        xaxis={"title": {"text": "cosine (radius 1)"}, "range": [-span, span],
               "constrain": "domain"},
        yaxis={"title": {"text": "sine"}, "range": [-span, span], "scaleanchor": "x",
               "constrain": "domain"},
        annotations=[note(words, look, x=0, y=1, xref="paper", yref="paper", xanchor="left")],
    )  # fmt: skip


def _held_out_line(result: Circle, look: Look, row: int) -> go.Figure:
    said, truth = result.held_out[row, :, 0], result.target[:, 0]
    ends = [float(truth.min()), float(truth.max())]
    names = [token(word) for word in result.words]
    middle = float(np.mean(ends))
    traces = [
        go.Scatter(x=ends, y=ends, mode="lines", hoverinfo="skip",
                   line={"color": colour("muted", look), "width": 1.5}),
        go.Scatter(x=ends, y=[middle, middle], mode="lines", hoverinfo="skip",
                   line={"color": colour("control", look), "dash": "dash", "width": 1.5}),
        go.Scatter(x=truth, y=said, mode="markers+text", text=names, textposition="top center",
                   textfont={"color": colour("text", look), "size": 11},
                   customdata=np.arange(len(names)),
                   marker={"size": 8, "color": colour("a", look)},
                   hovertemplate="%{text}: place %{x}, said %{y:.3~g}<extra></extra>"),
    ]  # fmt: skip
    words = f"dashed: nothing known; other orders miss by {number(result.error_chance[row])} steps"
    return drawn(
        traces,
        look,
        title=f"Where the other words say that each one stands, behind {state(row)}",
        height=HEIGHT,
        xaxis={"title": {"text": "place in the order"}},
        yaxis={"title": {"text": "place said by the other words"}},
        annotations=[note(words, look, x=0, y=1, xref="paper", yref="paper", xanchor="left")],
    )


def _layers(result: Circle, look: Look, row: int) -> go.Figure:
    x = np.arange(len(result.error))
    beside: dict[str, Any] = {"xaxis": "x2", "yaxis": "y2"}
    order = [
        *lines.band(x, np.full(len(x), -1.0), result.order_high, look, role="control", alpha=0.2),
        lines.curve(x, result.order, look, role="a", name="in their order"),
    ]
    traces = [*_error(result, look, row), *(trace.update(**beside) for trace in order)]
    return drawn(
        traces,
        look,
        title=title(result),
        height=HEIGHT - 60,
        xaxis={**layers(len(x)), "domain": [0, 0.45]},
        yaxis=_error_axis(result),
        xaxis2={**layers(len(x)), "domain": [0.57, 1], "anchor": "y2"},
        yaxis2={"title": {"text": "order in the best plane, without fitting"}, "anchor": "x2",
                "range": [-0.2, 1.05]},
        annotations=[
            note("grey: 5 % to the mean of other orders", look, x=0, y=1.04, xref="paper",
                 yref="paper", xanchor="left"),
            note("grey: 95 % of other orders", look, x=0.57, y=1.04, xref="paper", yref="paper",
                 xanchor="left"),
        ],
    )  # fmt: skip


def _indices(result: Circle, look: Look, row: int) -> go.Figure:
    x = np.arange(len(result.error))
    traces = [
        lines.curve(x, result.separability, look, role="a", name="separability (bits)"),
        lines.curve(x, result.separability_chance, look, role="control",
                    name="separability by chance", dash="dash", symbol="x"),
        lines.curve(x, result.mixture, look, role="b", name="mixture (share)", dash="longdash"),
        lines.curve(x, result.mixture_chance, look, role="control", name="mixture by chance",
                    dash="dot", symbol="x"),
    ]  # fmt: skip
    words = (
        f"Separability behind {state(row)} {number(result.separability[row])} bits (chance "
        f"{number(result.separability_chance[row])}), mixture {number(result.mixture[row])} "
        f"(chance {number(result.mixture_chance[row])})"
    )
    n = count(len(result.words), "word")
    said = f"one feature of two dimensions: separability above chance, mixture not; {n} say little"
    return drawn(
        traces, look, title=words, height=HEIGHT - 60, showlegend=True, legend={"y": 1.02},
        margin={"t": 100}, xaxis=layers(len(x)),
        yaxis={"title": {"text": "index in the best plane"}, "rangemode": "tozero"},
        annotations=[note(said, look, x=0, y=0.02, xref="paper", yref="paper", xanchor="left")],
    )  # fmt: skip


def _frequencies(result: Circle, look: Look, row: int) -> go.Figure:
    share = result.frequency[row]
    if not len(share):
        raise Error("frequencies are asked of a cycle all of whose words were read")
    n = len(result.words)
    chance = np.full(len(share), 2 / (n - 1))
    if n % 2 == 0:
        chance[-1] /= 2
    times = [f"{number_ + 1}×" for number_ in range(len(share))]
    traces = [
        go.Bar(x=times, y=share, marker={"color": colour("a", look)}, width=0.55,
               hovertemplate="%{x} round: %{y:.1%} of the variance<extra></extra>"),
        go.Scatter(x=times, y=chance, mode="markers", name="random order",
                   marker={"symbol": "line-ew", "size": 34,
                           "line": {"width": 3, "color": colour("control", look)}},
                   hovertemplate="random order %{y:.1%}<extra></extra>"),
    ]  # fmt: skip
    top = int(share.argmax())
    return drawn(
        traces,
        look,
        title=f"{readable(result.concept)[:40]} go round {top + 1}× most of all behind "
        f"{state(row)}: {share[top]:.0%} of the variance of the class means (random order "
        f"{chance[top]:.0%})",
        height=HEIGHT - 100,
        xaxis={"title": {"text": "turns while the words go round once"}},
        yaxis={"title": {"text": "share of the variance"}, "rangemode": "tozero",
               "tickformat": ".0%"},
    )  # fmt: skip
