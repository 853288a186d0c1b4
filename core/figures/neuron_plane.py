"""Gate against up value of one neuron: where its tokens lie, and the strongest of each corner."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures.theme import UNSIGNED, Look, colour, colour_bar, drawn, note
from core.figures.wording import count, number, token
from core.results.neuron_plane import NeuronPlane

HEIGHT = 460
HEIGHT_FLAT = 300
SHORT = 5  # tokens of text in a hover line, on each side of the one meant


def figure(result: NeuronPlane, look: Look) -> go.Figure:
    """Brightness is the number of tokens; rings are the strongest tokens of each quadrant.

    Without a gate: a histogram of the one input there is.
    """
    if not result.gated:
        return _flat(result, look)
    counts = result.counts.astype("float32")
    heat = go.Heatmap(
        z=np.where(counts > 0, np.log10(np.maximum(counts, 1)), np.nan),
        x=_middle(result.gate_edges),
        y=_middle(result.up_edges),
        customdata=counts,
        colorscale=UNSIGNED,
        colorbar=_powers(counts, look),
        hovertemplate="gate %{x:.3~g}, up %{y:.3~g}<br>%{customdata:,.0f} tokens<extra></extra>",
    )
    line = {"color": colour("muted", look), "width": 1}
    wide = _range(np.concatenate([result.extreme_gate, result.gate_edges]))
    tall = _range(np.concatenate([result.extreme_up, result.up_edges]))
    return drawn(
        [heat, _extremes(result, look)],
        look,
        title=title(result),
        height=HEIGHT,
        shapes=[
            {"type": "line", "x0": 0, "x1": 0, "y0": 0, "y1": 1, "yref": "y domain", "line": line},
            {"type": "line", "y0": 0, "y1": 0, "x0": 0, "x1": 1, "xref": "x domain", "line": line},
        ],
        annotations=_corners(result, look),
        xaxis={"title": {"text": "gate, before its nonlinearity"}, "range": wide},
        yaxis={"title": {"text": "up value"}, "range": tall},
    )


def title(result: NeuronPlane) -> str:
    """How much of the neuron lies in its strongest quadrant, and what chance would put there."""
    best = int(result.strength.argmax())
    share, chance = float(result.strength[best]), float(result.random_strength[best])
    if not result.gated:
        return (
            f"{result.site} has no gate: {result.share[0]:.0%} of tokens give it a positive input, "
            f"{result.strength[0]:.0%} of its activation is there"
        )
    gate, up = (_sign(sign) for sign in result.quadrants[best])
    return (
        f"{result.site}: {share:.0%} of its activation where gate is {gate} and up is {up} "
        f"(unpaired: {chance:.0%})"
    )


def caption(result: NeuronPlane) -> str:
    """The control and the sample, in words."""
    words = (
        f"{count(result.n_tokens, 'token')} of {result.corpus} in "
        f"{count(result.n_contexts, 'context')}, {result.n_outside:,} of them outside the edges"
    )
    if not result.gated:
        return f"{words}; control: the share of tokens of each sign"
    return (
        f"{words}; correlation {number(result.correlation, sign=True)}; control: gate and up value "
        "of different tokens"
    )


def _sign(sign: str) -> str:
    return "positive" if sign == "+" else "negative"


def _middle(edges: np.ndarray) -> np.ndarray:
    return ((edges[1:] + edges[:-1]) / 2).astype("float32")


def _range(values: np.ndarray) -> list[float]:
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    room = 0.05 * (high - low or 1.0)
    return [low - room, high + room]


def _powers(counts: np.ndarray, look: Look) -> dict[str, Any]:
    top = int(np.log10(max(float(counts.max()), 1.0)))
    ticks = list(range(top + 1))
    return colour_bar("tokens", look, tickvals=ticks, ticktext=[f"{10**n:,}" for n in ticks])


def _extremes(result: NeuronPlane, look: Look) -> go.Scatter:
    own = colour("clamped", look)
    return go.Scatter(
        x=result.extreme_gate,
        y=result.extreme_up,
        mode="markers",
        marker={"symbol": "circle-open", "size": 9, "color": own, "line": {"width": 2}},
        text=[_snippet(result, i) for i in range(len(result.extreme_tokens))],
        customdata=result.extreme_activation,
        hovertemplate="%{text}<br>activation %{customdata:+.3~g}<extra></extra>",
    )


def _snippet(result: NeuronPlane, i: int) -> str:
    tokens, at = result.extreme_tokens[i], result.extreme_at[i]
    before = "".join(token(piece) for piece in tokens[max(0, at - SHORT) : at])
    behind = "".join(token(piece) for piece in tokens[at + 1 : at + 1 + SHORT])
    return f"{before}<b>{token(tokens[at])}</b>{behind}"


def _corners(result: NeuronPlane, look: Look) -> list[Any]:
    """Each quadrant's share of the activation, in its corner of the plot."""
    places = {"+": (1, "right"), "-": (0, "left")}, {"+": (1, "top"), "-": (0, "bottom")}
    found = []
    for name, share in zip(result.quadrants, result.strength, strict=True):
        (x, side), (y, end) = places[0][name[0]], places[1][name[1]]
        at = {"x": x, "y": y, "xref": "x domain", "yref": "y domain"}
        found.append(note(f"{share:.0%} of |a|", look, "text", xanchor=side, yanchor=end, **at))
    return found


def _flat(result: NeuronPlane, look: Look) -> go.Figure:
    counts = result.counts[0]
    bars = go.Bar(
        x=_middle(result.gate_edges),
        y=np.where(counts > 0, counts, np.nan),
        width=np.diff(result.gate_edges),
        marker={"color": colour("a", look), "line": {"width": 0}},
        hovertemplate="input %{x:.3~g}<br>%{y:,} tokens<extra></extra>",
    )
    return drawn(
        [bars],
        look,
        title=title(result),
        height=HEIGHT_FLAT,
        bargap=0,
        xaxis={"title": {"text": f"input, before {result.nonlinearity or 'the nonlinearity'}"}},
        yaxis={"title": {"text": "tokens"}, "type": "log", "dtick": 1},
    )
