"""Sizes of queries, keys and values by head and channel, by layer, and what a channel carries."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures import grid
from core.figures.lines import curve
from core.figures.task_bars import bars, cases
from core.figures.theme import BOTTOM, TOP, UNSIGNED, Look, colour_bar, drawn, note
from core.figures.wording import count, number
from core.results.massive_values import CONDITIONS, MassiveValues
from core.spec.errors import Error

VIEWS = ("channels", "layers", "tasks")
PARTS = (("q", "queries"), ("k", "keys"), ("v", "values"))
GAP = 40  # pixels between maps
LEAST_ROWS = 60  # pixels of a map
LEGEND = 44  # pixels of a legend in three lines


def figure(
    result: MassiveValues, look: Look, *, view: str = "channels", layer: int = 0
) -> go.Figure:
    """view "channels": head by channel of one layer; "layers": counts; "tasks": log p lost."""
    if view not in VIEWS:
        raise Error(f"massive values are drawn as {', '.join(VIEWS)}, not {view!r:.40}")
    if not 0 <= layer < len(result.q):
        raise Error(f"there are layers 0 to {len(result.q) - 1}, not {layer}")
    if view == "channels":
        return _channels(result, look, layer)
    return _layers(result, look) if view == "layers" else _tasks(result, look)


def title(result: MassiveValues) -> str:
    """How many channels stick out, and in which part, in words."""
    q, k, v = (int(part.sum()) for part in (result.n_q, result.n_k, result.n_v))
    return (
        f"Above {number(result.factor)} times their head's mean: {count(q, 'channel')} of queries, "
        f"{k:,} of keys, {v:,} of values (turned at random "
        f"{int(result.random_q.sum() + result.random_k.sum()):,})"
    )


def caption(result: MassiveValues) -> str:
    """The control and the sample, in words."""
    notes = "".join(f"; {each}" for each in result.notes)
    return (
        "control: the same heads with their channels turned by a random rotation; values; for the "
        "tasks the smallest and a random channel of every head; root mean squares over "
        f"{count(result.n_tokens, 'token')} of {count(result.n_texts, 'text')}"
        f"{cases(result.tasks, result.n_cases)}{notes}"
    )


def _channels(result: MassiveValues, look: Look, layer: int) -> go.Figure:
    maps = [getattr(result, part)[layer] for part, _ in PARTS]
    most = max(float(each.max()) for each in maps) or 1.0
    heights = [max(LEAST_ROWS, 14 * len(each)) for each in maps]
    whole = sum(heights) + GAP * (len(maps) - 1)
    traces: list[Any] = []
    layout: dict[str, Any] = {"annotations": []}
    end = whole
    for number_of, (z, height, (_, words)) in enumerate(zip(maps, heights, PARTS, strict=True)):
        name = "" if not number_of else str(number_of + 1)
        cells = grid.cells(
            z.astype("float32"),
            scale=UNSIGNED,
            limits=(0.0, most),
            bar=None if number_of else colour_bar("root mean square", look),
            hovertemplate="head %{y}, channel %{x}<br>%{z:.3~g}<extra>" + words + "</extra>",
            xaxis=f"x{name}",
        )
        cells.yaxis = f"y{name}"
        traces.append(cells)
        last = number_of == len(maps) - 1
        layout[f"xaxis{name}"] = grid.number_axis(z.shape[1], "channel" if last else "") | {
            "anchor": f"y{name}"
        }
        layout[f"yaxis{name}"] = grid.number_axis(len(z), "head" if len(z) > 2 else "") | {
            "domain": [(end - height) / whole, end / whole],
            "anchor": f"x{name}",
        }
        place: dict[str, Any] = {"x": 0, "y": end / whole, "xref": "paper", "yref": "paper"}
        heading = note(f"{words} of L{layer}", look, xanchor="left", yanchor="bottom", **place)
        layout["annotations"].append(heading)
        end -= height + GAP
    return drawn(
        traces,
        look,
        title=title(result),
        height=TOP + 12 + whole + BOTTOM,
        margin={"t": TOP + 12},
        **layout,
    )


def _layers(result: MassiveValues, look: Look) -> go.Figure:
    layers = np.arange(len(result.q))
    traces = [
        curve(layers, result.n_q, look, role="a", name="queries"),
        curve(layers, result.n_k, look, role="b", name="keys", symbol="square"),
        curve(layers, result.n_v, look, role="c", name="values", symbol="diamond"),
        curve(
            layers,
            result.random_q + result.random_k,
            look,
            role="control",
            name="queries and keys, turned",
            dash="dash",
        ),
    ]
    for values, role, name in (
        (result.slow_q, "a", "queries: share in slow pairs"),
        (result.slow_k, "b", "keys: share in slow pairs"),
    ):
        if not np.isnan(values).all():
            traces.append(curve(layers, values, look, role=role, name=name, dash="dot", yaxis="y2"))
    return drawn(
        traces,
        look,
        title=title(result),
        height=TOP + LEGEND + 300 + BOTTOM,
        showlegend=True,
        legend={"y": 1.0},
        margin={"t": TOP + LEGEND, "r": 60},
        xaxis=grid.number_axis(len(layers), "layer", names=True),
        yaxis={"title": {"text": "massive channels"}, "rangemode": "tozero"},
        yaxis2={
            "title": {"text": "share in slow pairs (chance 0.5)"},
            "overlaying": "y",
            "side": "right",
            "range": [0, 1.02],
            "tickvals": [0, 0.25, 0.5, 0.75, 1],
            "showgrid": False,
        },
    )


def _tasks(result: MassiveValues, look: Look) -> go.Figure:
    roles = ("clamped", "control", "weight")
    lost = result.log_p[:1] - result.log_p[1:] if result.tasks else np.zeros((3, 0))
    return bars(
        result.tasks,
        list(zip(lost, CONDITIONS[1:], roles, strict=True)),
        look,
        title=title(result),
        in_context=result.in_context,
    )
