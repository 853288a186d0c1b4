"""Still panels about a map: its scores over the layers, and the map beside what chance draws."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures.groups import hue, symbol
from core.figures.lines import band, curve
from core.figures.probe_family import layers, state
from core.figures.theme import Look, drawn, note
from core.figures.wording import escaped, number, readable
from core.results.layer_map import LayerMap
from core.spec.errors import Error

DEPTH_HEIGHT, NULL_HEIGHT = 350, 480
GAP = 0.08
LOW, HIGH = 0.05, 0.95


def depth(result: LayerMap, look: Look, title: str) -> go.Figure:
    """Silhouette, explained share and trustworthiness over the layers, each beside chance."""
    made = [
        (words, traces)
        for words, traces in (
            ("silhouette", _silhouettes(result, look)),
            ("share of the variance on the axes", _explained(result, look)),
            ("trustworthiness", _trust(result, look)),
        )
        if traces
    ]
    axes: dict[str, Any] = {}
    boxes: dict[str, Any] = {}
    notes, found = [], []
    width = (1 - GAP * (len(made) - 1)) / len(made)
    for place, (words, traces) in enumerate(made):
        last = "" if place == 0 else str(place + 1)
        left = place * (width + GAP)
        for trace in traces:
            found.append(trace.update(xaxis=f"x{last}", yaxis=f"y{last}", legend=f"legend{last}"))
        boxes[f"legend{last}"] = {
            "orientation": "v", "x": left, "y": 1.07, "yanchor": "bottom", "xanchor": "left",
            "font": {"size": 11}, "bgcolor": "rgba(0,0,0,0)", "tracegroupgap": 0,
        }  # fmt: skip
        axes[f"xaxis{last}"] = {
            "domain": [left, left + width],
            "anchor": f"y{last}",
            **layers(int(result.layers[-1]) + 1),
            "showgrid": False,
        }
        axes[f"yaxis{last}"] = {"anchor": f"x{last}", "nticks": 5}
        notes.append(
            note(words, look, role="text", x=left, y=1.01, xref="paper", yref="paper",
                 xanchor="left", yanchor="bottom")
        )  # fmt: skip
    return drawn(
        found, look, title=title, height=DEPTH_HEIGHT, annotations=notes, showlegend=True,
        margin={"t": 158, "r": 12}, **axes, **boxes,
    )  # fmt: skip


def _silhouettes(result: LayerMap, look: Look) -> list[Any]:
    x = result.layers
    if not np.isfinite(result.silhouette).any():
        return []
    traces: list[Any] = []
    held = np.isfinite(result.held_out).any()
    null = result.null_held_out if held else result.null_silhouette
    low, high = np.nanquantile(null, [LOW, HIGH], axis=1)
    traces += band(x, low, high, look, role="control", alpha=0.3)
    if held:
        # The map that labels have made always looks separated: its own chance is another one.
        traces.append(
            _level(x, result.null_silhouette.mean(axis=1), look, "map, shuffled labels", "dot")
        )
        traces.append(curve(x, result.held_out, look, role="c", name="held-out words", dash="dash"))
    traces.append(_level(x, null.mean(axis=1), look, "shuffled labels", "dash"))
    traces.append(curve(x, result.silhouette, look, role="a", name="in the map"))
    traces.append(
        curve(x, result.full_silhouette, look, role="b", name="in all dimensions", dash="dot")
    )
    return traces


def _level(x: np.ndarray, y: np.ndarray, look: Look, name: str, dash: str) -> Any:
    return curve(x, y, look, role="control", name=name, dash=dash).update(mode="lines")


def _explained(result: LayerMap, look: Look) -> list[Any]:
    if not np.isfinite(result.explained).any():
        return []
    x = result.layers
    return [
        curve(x, result.explained.sum(axis=1), look, role="a", name="all axes"),
        curve(x, result.explained[:, 0], look, role="b", name="first axis", dash="dash"),
        _level(x, result.null_explained.sum(axis=1), look, "shuffled dimensions", "dash"),
    ]


def _trust(result: LayerMap, look: Look) -> list[Any]:
    if not np.isfinite(result.trust).any():
        return []
    x = result.layers
    traces = [curve(x, result.trust, look, role="a", name="this map")]
    if result.mode != "layer":
        traces.append(
            curve(x, result.pca_trust, look, role="b", name="principal components", dash="dot")
        )
    return [*traces, _level(x, result.null_trust, look, "random places", "dash")]


def beside_null(result: LayerMap, look: Look, row: int) -> go.Figure:
    """Left the words on axes of their classes; right on axes of labels dealt out anew, coloured by
    these: how far apart chance looks.
    """
    if not len(result.null_item):
        raise Error("only a map by class means has axes of shuffled labels; choose mode 'classes'")
    some = result.null_item
    sides = (
        (result.places[row, some], result.group[some], "x", "y", True),
        (result.null_places[row], result.null_group, "x2", "y2", False),
    )
    traces: list[Any] = []
    for places, group, x, y, first in sides:
        for number_ in np.unique(group).tolist():
            mine = np.flatnonzero(group == number_)
            name = escaped(readable(result.groups[number_][:30]))
            traces.append(
                go.Scatter(
                    x=places[mine, 0],
                    y=places[mine, 1],
                    xaxis=x,
                    yaxis=y,
                    mode="markers",
                    name=name,
                    legendgroup=name,
                    showlegend=first,
                    marker={"size": 7, "color": hue(number_), "symbol": symbol(number_)},
                    customdata=some[mine],
                    hovertext=[
                        f"{escaped(readable(result.words[int(some[one])][:60]))}<br>{name}"
                        for one in mine
                    ],
                    hovertemplate="%{hovertext}<extra></extra>",
                )
            )
    return _side_by_side(result, look, row, traces)


def _side_by_side(result: LayerMap, look: Look, row: int, traces: list[Any]) -> go.Figure:
    span = 1.08 * max(np.abs(result.places[row]).max(), np.abs(result.null_places[row]).max(), 1e-9)
    plain: dict[str, Any] = {"range": [-span, span], "showticklabels": False}
    equal = {**plain, "constrain": "domain"}
    own, chance = number(result.silhouette[row]), number(result.null_silhouette[row].mean())
    held, null = number(result.held_out[row]), number(result.null_held_out[row].mean())
    place: dict[str, Any] = {"xref": "paper", "yref": "paper", "xanchor": "left",
                             "yanchor": "bottom", "y": 1.0}  # fmt: skip
    return drawn(
        traces,
        look,
        title=(
            f"Axes of the classes and axes of shuffled labels, {state(int(result.layers[row]))}: "
            f"silhouette {own} and {chance}, held-out words {held} and {null}"
        ),
        height=NULL_HEIGHT,
        showlegend=len(result.groups) <= 24,
        legend={"y": 1.06},
        margin={"t": 120},
        annotations=[
            note("the classes", look, role="text", x=0, **place),
            note("labels dealt out anew", look, role="text", x=0.53, **place),
        ],
        xaxis={"domain": [0, 0.47], "title": {"text": "first axis (no unit)"}, **plain},
        yaxis={"title": {"text": "second axis (no unit)"}, **equal, "scaleanchor": "x"},
        xaxis2={"domain": [0.53, 1], "anchor": "y2", "title": {"text": "first axis"}, **plain},
        yaxis2={"anchor": "x2", **equal, "scaleanchor": "x2"},
    )
