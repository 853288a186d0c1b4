"""Read/write classes: their shares over depth, and the neurons of one layer by their cosines."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures import grid
from core.figures.theme import UNSIGNED, Look, colour, colour_bar, drawn, faint, note, rounded_up
from core.figures.wording import count
from core.results.neuron_classes import CLASSES, NeuronClasses
from core.spec.errors import Error

HEIGHT = 420
VIEWS = ("depth", "neurons")
ORTHOGONAL = "orthogonal output"
# class: (role, opacity). Hatched areas are the atypical ones.
SHADES = {
    "strengthening": ("b", 1.0),
    "atypical strengthening": ("b", 0.85),
    "conditional strengthening": ("b", 0.6),
    "atypical conditional strengthening": ("b", 0.4),
    "proportional change": ("c", 0.9),
    "atypical proportional change": ("c", 0.5),
    "atypical conditional weakening": ("a", 0.4),
    "conditional weakening": ("a", 0.6),
    "atypical weakening": ("a", 0.85),
    "weakening": ("a", 1.0),
}


def figure(result: NeuronClasses, look: Look, *, view: str = "depth", layer: int = 0) -> go.Figure:
    """view "depth": shares of the classes over the layers, what is left being orthogonal output;
    dashed, the same height for mismatched vectors;
    view "neurons": one point a neuron of `layer`, placed by its cosines, with the bands.
    """
    if view not in VIEWS:
        raise Error(f"classes have the views {', '.join(VIEWS)}, not {view[:20]!r}")
    if view == "depth":
        return _depth(result, look)
    if not 0 <= layer < len(result.count):
        raise Error(f"there are layers 0 to {len(result.count) - 1}, not {layer}")
    return _scatter(result, look, layer) if result.gated else _histogram(result, look, layer)


def title(result: NeuronClasses) -> str:
    """Where neurons strengthen and where they weaken what they read."""
    shares = result.count / result.count.sum(axis=1, keepdims=True)
    up = shares[:, :4].sum(axis=1)
    down = shares[:, 7:].sum(axis=1)
    if not up.max() + down.max():
        return "No neuron strengthens or weakens what it reads beyond the threshold"
    return (
        f"Strengthening what is read is commonest in layer {int(up.argmax())} ({up.max():.1%} of "
        f"the neurons), weakening it in layer {int(down.argmax())} ({down.max():.1%})"
    )


def caption(result: NeuronClasses) -> str:
    """The control and the sample, in words."""
    other = CLASSES.index(ORTHOGONAL)
    found = 1 - result.count[:, other].sum() / result.count.sum()
    chance = 1 - result.control_count[:, other].sum() / result.control_count.sum()
    return (
        f"control, mismatched vectors of the same layers ({result.n_shuffles} shuffles): "
        f"{chance:.1%} not orthogonal, found {found:.1%}; cosine threshold {result.threshold:g}; "
        f"{count(result.code.size, 'neuron')} in {count(len(result.count), 'layer')}"
    )


def _depth(result: NeuronClasses, look: Look) -> go.Figure:
    n_layers, neurons = result.code.shape
    layers = np.arange(n_layers, dtype="int32")
    areas = [
        go.Scatter(
            x=layers,
            y=result.count[:, code] / neurons,
            name=name,
            stackgroup="classes",
            mode="lines" if n_layers > 1 else "markers",
            line={"width": 0.8, "color": colour(SHADES[name][0], look)},
            fillcolor=faint(SHADES[name][0], look, SHADES[name][1]),
            fillpattern={"shape": "/" if name.startswith("atypical") else "", "size": 6},
            customdata=np.stack([result.count[:, code], result.control_count[:, code]], axis=1),
            hovertemplate=f"{name}<br>layer %{{x}}<br>%{{customdata[0]}} neurons (%{{y:.1%}})"
            "<br>control %{customdata[1]:.3~g}<extra></extra>",
        )
        for name in SHADES
        for code in [CLASSES.index(name)]
        if result.count[:, code].any()
    ]
    other = CLASSES.index(ORTHOGONAL)
    shares = [1 - counts[:, other] / neurons for counts in (result.count, result.control_count)]
    chance = go.Scatter(
        x=layers,
        y=shares[1],
        name="control: mismatched vectors, all classes",
        mode="lines" if n_layers > 1 else "markers",
        line={"color": colour("text", look), "width": 1.5, "dash": "dash"},
        hovertemplate="layer %{x}<br>%{y:.1%}<extra>control</extra>",
    )
    return drawn(
        [*areas, chance],
        look,
        title=title(result),
        height=HEIGHT + 90,
        showlegend=True,
        legend={"y": -0.22, "yanchor": "top"},
        margin={"b": 150},
        xaxis=grid.number_axis(n_layers, "layer"),
        yaxis={
            "title": {"text": "share of the neurons (the rest: orthogonal)"},
            "range": [0, min(1.0, rounded_up(float(max(map(np.max, shares)))))],
            "tickformat": ".1%",
        },
    )


def _scatter(result: NeuronClasses, look: Look, layer: int) -> go.Figure:
    """cos(in, out) against cos(gate, out), colour cos(gate, in); signs as in `flipped`."""
    cosine = result.flipped(layer)
    points = go.Scatter(
        x=cosine[:, 0],
        y=cosine[:, 2],
        mode="markers",
        marker={
            "size": 6,
            "color": cosine[:, 1],
            "cmin": 0,
            "cmax": 1,
            "colorscale": UNSIGNED,
            "showscale": True,
            "colorbar": colour_bar("cos(gate, in)", look),
        },
        customdata=np.stack([np.arange(len(cosine)), cosine[:, 1]], axis=1),
        hovertext=[CLASSES[code] for code in result.code[layer].tolist()],
        hovertemplate=f"<b>L{layer}.neuron[%{{customdata[0]}}]</b><br>%{{hovertext}}"
        "<br>cos(in, out) %{x:.3~g}<br>cos(gate, out) %{y:.3~g}"
        "<br>cos(gate, in) %{customdata[1]:.3~g}<extra></extra>",
    )
    side = float(np.abs(result.band[layer, 2]).max())  # the sign of this cosine is turned at will
    low, high = result.band[layer, 0].tolist()
    band = {"type": "rect", "x0": low, "x1": high, "y0": -side, "y1": side, "layer": "below"}
    shapes: list[Any] = [band | {"fillcolor": faint("control", look, 0.25), "line": {"width": 0}}]
    edge = {"color": colour("muted", look), "width": 1, "dash": "dot"}
    for at in (-result.threshold, result.threshold):
        shapes.append({"type": "line", "x0": at, "x1": at, "y0": -1, "y1": 1, "line": edge})
        shapes.append({"type": "line", "x0": -1, "x1": 1, "y0": at, "y1": at, "line": edge})
    top: dict[str, Any] = {"x": 0.01, "xref": "x domain", "y": 1, "yref": "y domain"}
    words = note("grey: 95 % of mismatched pairs", look, xanchor="left", yanchor="top", **top)
    return drawn(
        [points],
        look,
        title=_of_layer(result, layer),
        height=HEIGHT,
        shapes=shapes,
        annotations=[words],
        xaxis={"title": {"text": "cos(in, out)"}, "range": [-1, 1]},
        yaxis={"title": {"text": "cos(gate, out)"}, "range": [-1, 1]},
    )


def _histogram(result: NeuronClasses, look: Look, layer: int) -> go.Figure:
    """Neurons by cos(in, out): all there is without a gate."""
    heights, edges = np.histogram(result.linout[layer], bins=np.linspace(-1, 1, 81))
    bars = go.Bar(
        x=(edges[:-1] + edges[1:]) / 2,
        y=heights,
        width=edges[1] - edges[0],
        marker={"color": colour("a", look)},
        hovertemplate="cos(in, out) %{x:.2f}<br>%{y} neurons<extra></extra>",
    )
    low, high = result.band[layer, 0].tolist()
    band = {"type": "rect", "x0": low, "x1": high, "y0": 0, "y1": 1, "yref": "y domain"}
    fill = {"fillcolor": faint("control", look, 0.25), "line": {"width": 0}, "layer": "below"}
    top: dict[str, Any] = {"x": high, "y": 1, "yref": "y domain"}
    words = note("95 % of mismatched pairs", look, xanchor="left", yanchor="top", **top)
    return drawn(
        [bars],
        look,
        title=_of_layer(result, layer),
        height=HEIGHT,
        shapes=[band | fill],
        annotations=[words],
        xaxis={"title": {"text": "cos(in, out)"}, "range": [-1, 1]},
        yaxis={"title": {"text": "neurons"}},
    )


def _of_layer(result: NeuronClasses, layer: int) -> str:
    counts = result.count[layer]
    often = [int(code) for code in np.argsort(-counts, kind="stable")[:3] if counts[code]]
    told = ", ".join(f"{counts[code]} {CLASSES[code]}" for code in often)
    return f"Layer {layer}: {told}"
