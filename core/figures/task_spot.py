"""What breaks without the spot: its texts and others, over its size, beside random sets."""

import numpy as np
import plotly.graph_objects as go

from core.figures import grid
from core.figures.lines import band, curve
from core.figures.theme import Look, colour, drawn, note
from core.figures.wording import count, number, readable
from core.results.task_spot import TaskSpot
from core.spec.errors import Error

VIEWS = ("dose", "layers")
HEIGHT = 380


def figure(result: TaskSpot, look: Look, *, view: str = "dose") -> go.Figure:
    """view "dose": loss gained over the number of neurons silent; "layers": where they are."""
    if view not in VIEWS:
        raise Error(f"a task spot is drawn as {', '.join(VIEWS)}, not {view[:20]!r}")
    return _layers(result, look) if view == "layers" else _dose(result, look)


def title(result: TaskSpot) -> str:
    """Size, what breaks, and the ratio, in words."""
    at = result.asked
    on, off = result.gain[at, :, 0]
    one, two = (_name(name) for name in result.names)
    return (
        f"Without {count(int(result.size[at]), 'neuron')} “{one}” loses {number(on)} nats per "
        f"token, “{two}” {number(off)}: ratio {number(result.ratio[at, 0])} "
        f"(random sets {number(result.ratio[at, 1:].mean())})"
    )


def caption(result: TaskSpot) -> str:
    """The control and the sample, in words."""
    return (
        f"control, {count(result.n_random, 'random set')} with as many neurons in every layer; "
        f"found on {result.n_found[0]:,} and {result.n_found[1]:,} tokens, losses on "
        f"{count(result.n_held[0], 'text')} and {count(result.n_held[1], 'text')} held out; "
        f"off-target gains below {number(result.least)} nats count as that in the ratio"
    )


def _name(name: str) -> str:
    return readable(name)[:30]


def _dose(result: TaskSpot, look: Look) -> go.Figure:
    traces = []
    for kind, role, symbol in ((0, "a", "circle"), (1, "b", "diamond")):
        name = _name(result.names[kind])
        traces += band(result.size, result.low[:, kind], result.high[:, kind], look, role=role)
        traces.append(
            curve(
                result.size, result.gain[:, kind, 0], look, role=role, symbol=symbol,
                name=f"spot silent, {name}",
            )
        )  # fmt: skip
        traces.append(
            curve(
                result.size, result.gain[:, kind, 1:].mean(axis=1), look, role="control",
                dash="dash" if kind == 0 else "dot", symbol=symbol, name=f"random sets, {name}",
            )
        )  # fmt: skip
    at = float(result.size[result.asked])
    mark = {"color": colour("muted", look), "width": 1, "dash": "longdash"}
    return drawn(
        traces,
        look,
        title=title(result),
        height=HEIGHT,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 100, "r": 16},
        xaxis={
            "title": {"text": "neurons silent"},
            "type": "log",
            "tickmode": "array",
            "tickvals": result.size.tolist(),
        },
        yaxis={"title": {"text": "loss gained (nats per token)"}},
        shapes=[{"type": "line", "x0": at, "x1": at, "y0": 0, "y1": 1, "yref": "paper",
                 "line": mark}],
        annotations=[note("listed", look, x=np.log10(at), y=1, yref="paper",
                          xanchor="right", yanchor="top", xshift=-4)],
    )  # fmt: skip


def _layers(result: TaskSpot, look: Look) -> go.Figure:
    n = len(result.in_layer)
    bars = go.Bar(
        x=np.arange(n, dtype="int32"),
        y=result.in_layer.astype(float),
        marker={"color": colour("a", look)},
        hovertemplate="layer %{x}: %{y} neurons<extra></extra>",
    )
    return drawn(
        [bars],
        look,
        title=title(result),
        height=260,
        xaxis=grid.number_axis(n, "layer", names=True),
        yaxis={"title": {"text": "neurons of the spot"}, "rangemode": "tozero"},
    )
