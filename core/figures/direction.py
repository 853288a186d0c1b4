"""A concept's direction by layer: how well it separates, how it holds, and what else is like it."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures import grid
from core.figures.theme import BOTTOM, TOP, Look, colour, colour_bar, drawn, faint, note, signed
from core.figures.wording import count, escaped, number
from core.results.direction import STABLE, DirectionResult

HEIGHT = 340
BINS = 30


def figure(result: DirectionResult, look: Look, *, layer: int | None = None) -> go.Figure:
    """Solid: AUC on held-out items, grey: 5 to 95 % of shuffled labels. Dashes: split-half cosine.

    layer  the one that is looked at, marked by an upright line; a point of any line is a layer
    """
    layers = np.arange(result.n_layers)
    notes = [note("unstable below", look, "warning", x=1, xref="x domain", y=STABLE, yref="y",
                  xanchor="right", yanchor="bottom")]  # fmt: skip
    shapes = [_level(STABLE, colour("warning", look)), *_upright(layer, look)]
    return drawn(
        [*_control(result, layers, look), *_lines(result, layers, look)],
        look,
        title=title(result),
        height=HEIGHT,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 76, "r": 16},
        shapes=shapes,
        annotations=notes if np.isfinite(result.split_half).any() else [],
        xaxis=grid.number_axis(result.n_layers, "layer", names=True),
        yaxis={"title": {"text": "AUC, cosine"}, "range": [min(-0.02, _least(result)), 1.03]},
    )


def title(result: DirectionResult) -> str:
    """The best layer, its control and whether it holds, in words."""
    layer = result.best
    if np.isnan(result.separation[layer]):
        return f"A direction by {result.method}; no items were given to separate"
    halves = result.split_half[layer]
    holds = "" if np.isnan(halves) else f"; two halves agree to {number(halves)}"
    word = "" if result.stable(layer) else ", so it is unstable"
    return (
        f"Layer {layer} separates best: AUC {number(result.separation[layer])} "
        f"(shuffled {number(result.control_separation[layer].mean())}){holds}{word}"
    )


def caption(result: DirectionResult) -> str:
    """The control and the sample, in words."""
    if not result.n_positive:
        return (
            f"method {result.method}; mean lengths over "
            f"{count(result.n_tokens, 'reference token')}; no items, so no control"
        )
    shuffles = result.control_separation.shape[1]
    paired = ", paired" if result.paired else ""
    return (
        f"{result.n_positive} against {count(result.n_negative, 'text')}{paired}, "
        f"state at {result.position}; "
        f"method {result.method}; held out in up to 5 folds; control, labels shuffled "
        f"{shuffles} times; seed {result.seed}"
    )


def _lines(result: DirectionResult, layers: np.ndarray, look: Look) -> list[go.Scatter]:
    hover = np.array([_line(result, int(layer)) for layer in layers], dtype=object)
    shared: dict[str, Any] = {
        "x": layers,
        "mode": "lines+markers",
        "hovertext": hover,
        "hovertemplate": "%{hovertext}<extra></extra>",
    }
    found = []
    for name, y, role, dash in (
        ("AUC, held out", result.separation, "a", "solid"),
        ("split-half cosine", result.split_half, "c", "dash"),
        ("pairs agree (cosine)", result.consistency, "b", "dot"),
    ):
        if np.isfinite(y).any():
            line = {"color": colour(role, look), "width": 2, "dash": dash}
            marker = {"size": 7, "color": colour(role, look)}
            found.append(go.Scatter(y=y, name=name, line=line, marker=marker, **shared))
    return found


def _line(result: DirectionResult, layer: int) -> str:
    control = result.control_separation[layer]
    low = number(np.quantile(control, 0.05)) if control.size else "no value"
    high = number(np.quantile(control, 0.95)) if control.size else "no value"
    return (
        f"<b>layer {layer}</b><br>AUC {number(result.separation[layer])} (shuffled {low} to {high})"
        f"<br>split-half cosine {number(result.split_half[layer])}"
        f"<br>gap {number(result.gap[layer])}, mean length {number(result.mean_norm[layer])}"
    )


def _control(result: DirectionResult, layers: np.ndarray, look: Look) -> list[go.Scatter]:
    if not result.control_separation.shape[1]:
        return []
    low, high = np.quantile(result.control_separation, [0.05, 0.95], axis=1)
    edge: dict[str, Any] = {
        "x": layers, "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip",
        "showlegend": False,
    }  # fmt: skip
    return [
        go.Scatter(y=low, **edge),
        go.Scatter(y=high, fill="tonexty", fillcolor=faint("control", look, 0.28), **edge),
        go.Scatter(
            x=layers,
            y=result.control_separation.mean(axis=1),
            mode="lines",
            name="shuffled labels",
            line={"color": colour("control", look), "width": 1.5, "dash": "dash"},
            hoverinfo="skip",
        ),
    ]


def _least(result: DirectionResult) -> float:
    lines = (result.separation, result.split_half, result.consistency)
    values = np.concatenate([line[np.isfinite(line)] for line in lines])
    return float(values.min()) - 0.05 if values.size else 0.0


def _level(y: float, line: str) -> dict[str, Any]:
    place = {"x0": 0, "x1": 1, "xref": "x domain", "y0": y, "y1": y, "yref": "y"}
    return {"type": "line", "line": {"color": line, "width": 1, "dash": "dot"}, **place}


def _upright(layer: int | None, look: Look) -> list[dict[str, Any]]:
    if layer is None:
        return []
    line = {"color": colour("muted", look), "width": 1}
    place = {"x0": layer, "x1": layer, "xref": "x", "y0": 0, "y1": 1, "yref": "y domain"}
    return [{"type": "line", "layer": "below", "line": line, **place}]


def methods(result: DirectionResult, look: Look, *, layer: int) -> go.Figure:
    """Cosines among the ways to build a direction at one layer; beside the name its AUC."""
    values = result.method_cosine[layer]
    names = [
        f"{name} {number(auc)}" if np.isfinite(auc) else name
        for name, auc in zip(result.methods, result.method_separation[layer], strict=True)
    ]
    n = len(names)
    axis = {"tickmode": "array", "tickvals": list(range(n)), "showgrid": False}
    hover = [
        [f"{a} and {b}<br>cosine {number(values[i, j])}" for j, b in enumerate(result.methods)]
        for i, a in enumerate(result.methods)
    ]
    cells = _cosines(values, hover, look, text=True)
    return drawn(
        [cells],
        look,
        title=f"Cosines among the methods at layer {layer}",
        height=TOP + grid.rows_height(n) + BOTTOM + 30,
        xaxis={**axis, "ticktext": list(result.methods), "title": {"text": "method"},
               "range": [-0.5, n - 0.5]},
        yaxis={**axis, "ticktext": names, "title": {"text": "method, AUC"},
               "range": [n - 0.5, -0.5]},
    )  # fmt: skip


def layers(result: DirectionResult, look: Look) -> go.Figure:
    """Cosines of the directions of different layers."""
    values, n = result.layer_cosine, result.n_layers
    hover = [
        [f"layers {i} and {j}<br>cosine {number(values[i, j])}" for j in range(n)] for i in range(n)
    ]
    return drawn(
        [_cosines(values, hover, look, text=n <= 12)],
        look,
        title="Cosines of the directions of different layers",
        height=TOP + grid.rows_height(n) + BOTTOM,
        xaxis=grid.number_axis(n, "layer", names=True),
        yaxis=grid.number_axis(n, "layer", names=True),
    )


def _cosines(values: np.ndarray, hover: list[list[str]], look: Look, *, text: bool) -> go.Heatmap:
    shown = [[number(round(float(v), 2)) for v in row] for row in values]
    return grid.cells(
        values.astype("float32"),
        scale=signed(look),
        limits=(-1.0, 1.0),
        hover=np.array(hover, dtype=object),
        text=np.array(shown, dtype=object) if text else None,
        bar=colour_bar("cosine", look),
    )


def items(result: DirectionResult, look: Look, *, layer: int) -> go.Figure:
    """Where every item lies along the direction of one layer; both sides on one scale."""
    along = result.projection[layer]
    up, down = np.split(along, [result.n_positive])
    low, high = (float(along.min()), float(along.max())) if along.size else (0.0, 1.0)
    bins = {"start": low, "end": high + 1e-6, "size": max((high - low) / BINS, 1e-6)}
    traces = [
        go.Histogram(
            x=values,
            name=escaped(name[:60]),
            xbins=bins,
            opacity=0.7,
            marker={"color": colour(role, look)},
            hovertemplate="%{x}<br>%{y} items<extra></extra>",
        )
        for values, name, role in ((up, result.sides[0], "a"), (down, result.sides[1], "b"))
    ]
    return drawn(
        traces,
        look,
        title=f"Every item along the direction of layer {layer}",
        height=260,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 70},
        barmode="overlay",
        xaxis={"title": {"text": "projection (stream units)"}},
        yaxis={"title": {"text": "items"}},
    )


def needed(result: DirectionResult, look: Look, *, layer: int) -> go.Figure:
    """How near the difference of means comes to the true direction with more items."""
    n = min(result.n_positive, result.n_negative)
    now = float(np.interp(np.log(max(n, 1)), np.log(result.sizes), result.expected_cosine[layer]))
    return drawn(
        [
            go.Scatter(
                x=result.sizes,
                y=result.expected_cosine[layer],
                mode="lines+markers",
                line={"color": colour("a", look), "width": 2},
                hovertemplate="%{x} a side<br>expected cosine %{y:.3g}<extra></extra>",
            ),
            go.Scatter(
                x=np.array([n]),
                y=np.array([now]),
                mode="markers",
                marker={"size": 11, "color": colour("clamped", look), "symbol": "diamond"},
                hovertemplate="now: %{x} a side<br>expected cosine %{y:.3g}<extra></extra>",
            ),
        ],
        look,
        title=f"How many items are needed at layer {layer}",
        height=260,
        annotations=[note(f"now {count(n, 'item')} a side", look, "clamped", x=float(np.log10(n)),
                          y=now, xref="x", yref="y", xanchor="left", yanchor="top", xshift=8)]
        if n else [],
        xaxis={"type": "log", "title": {"text": "items a side"}, "tickvals": result.sizes.tolist(),
               "ticktext": [f"{size:,}" for size in result.sizes.tolist()]},
        yaxis={"title": {"text": "expected cosine"}, "range": [0, 1.03]},
    )  # fmt: skip
