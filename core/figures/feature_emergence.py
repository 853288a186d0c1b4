"""A concept over layers and checkpoints: a map of held-out AUC above chance, or its curves."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures.grid import cells
from core.figures.lines import curve
from core.figures.theme import ROW, Look, colour, colour_bar, drawn, note, signed
from core.figures.wording import count, escaped, number, readable, visible
from core.results.feature_emergence import FeatureEmergence
from core.spec.errors import Error

WHAT = {"neurons": "neuron", "directions": "direction", "features": "feature"}
SHOWN = ("map", "curves")
HEIGHT = 320
_NAME = 24


def figure(result: FeatureEmergence, look: Look, *, show: str = "") -> go.Figure:
    """AUC above chance by layer and checkpoint; cells with a ring show the concept.

    show  "map", "curves" (AUC and chance over the layers of the last checkpoint); "" chooses
    """
    if show not in ("", *SHOWN):
        raise Error(f"the figure can show {', '.join(SHOWN)}, not {show[:20]!r}")
    alone = len(result.checkpoints) == 1
    return _curves(result, look) if show == "curves" or (not show and alone) else _map(result, look)


def title(result: FeatureEmergence) -> str:
    """Where the concept appears first."""
    what = readable(result.concept)[:60]
    if result.first is None:
        return f"{what}: no layer reaches a held-out AUC of {number(result.least)} above chance"
    when, layer = result.first
    at = f"L{layer}"
    if len(result.checkpoints) > 1:
        at += f" of {readable(result.checkpoints[when])[:40]}"
    return f"{what} first appears at {at}: held-out AUC {number(result.auc[when, layer])}"


def caption(result: FeatureEmergence) -> str:
    """The control and the sample, in words."""
    up, down, test = result.n_texts
    missing = int(np.isnan(result.auc).sum())
    without = f"; {missing} of {result.auc.size} cells have none" if missing else ""
    return (
        f"best {WHAT[result.by]} of a layer, {result.pool} over tokens, chosen on half of "
        f"{count(up, 'positive text')} and {down:,} negative and tested on the other {test:,}; "
        f"control, labels shuffled {result.n_shuffles} times, chosen and tested the same way: "
        f"AUC {number(float(np.nanmedian(result.chance)))} in 1 of 20; a concept is there from "
        f"AUC {number(result.least)} on{without}"
    )


def _map(result: FeatureEmergence, look: Look) -> go.Figure:
    excess = result.excess.T  # layers upwards, checkpoints to the right
    names = [visible(name, _NAME) for name in result.checkpoints]
    hover = np.array(
        [
            [escaped(_words(result, at, layer)) for at in range(len(names))]
            for layer in range(len(excess))
        ],
        dtype=object,
    )
    bar = colour_bar("AUC above chance", look)
    layer, at = np.nonzero(result.shown.T)
    ring = go.Scatter(
        x=at,
        y=layer,
        mode="markers",
        marker={"symbol": "circle-open", "size": 9, "color": colour("text", look)},
        hoverinfo="skip",
        name="shows the concept",
    )
    return drawn(
        [cells(excess, scale=signed(look), limits=(-0.5, 0.5), hover=hover, bar=bar), ring],
        look,
        title=title(result),
        height=140 + ROW * len(excess),
        margin={"b": 76},
        xaxis={
            "title": {"text": "checkpoint"},
            "tickmode": "array",
            "tickvals": list(range(len(names))),
            "ticktext": names,
            "showgrid": False,
        },
        yaxis={"title": {"text": "layer"}, "dtick": 1, "showgrid": False},
    )


def _words(result: FeatureEmergence, at: int, layer: int) -> str:
    where = f"{readable(result.checkpoints[at])[:40]}, L{layer}"
    auc = float(result.auc[at, layer])
    if np.isnan(auc):
        return f"{where}: nothing to read"
    unit = int(result.unit[at, layer])
    book = readable(result.dictionaries[at][layer])[:40]
    who = WHAT[result.by] + (f" {unit}" if unit >= 0 else "") + (f" of {book}" if book else "")
    chance = number(float(result.chance[at, layer]))
    return f"{where}: {who}, AUC {number(auc)}, chance {chance}"


def _curves(result: FeatureEmergence, look: Look) -> go.Figure:
    layers = np.arange(result.auc.shape[1])
    found = f"best {WHAT[result.by]}"
    traces = [
        curve(layers, result.auc[-1], look, role="a", name=found),
        curve(layers, result.chance[-1], look, role="control", name="shuffled labels", dash="dash"),
    ]
    line = {"color": colour("muted", look), "width": 1.2, "dash": "dot"}
    span = {"type": "line", "x0": 0, "x1": 1, "xref": "x domain"}
    place: dict[str, Any] = {"x": 1, "xref": "x domain", "xanchor": "right", "yanchor": "bottom"}
    words = f"a concept is there from {number(result.least)} on"
    return drawn(
        traces,
        look,
        title=title(result),
        height=HEIGHT,
        showlegend=True,
        legend={"y": 1},
        shapes=[{**span, "y0": result.least, "y1": result.least, "line": line}],
        annotations=[note(words, look, y=result.least, **place)],
        xaxis={"title": {"text": "layer"}, "dtick": max(1, len(layers) // 16)},
        yaxis={"title": {"text": "held-out AUC"}, "range": [0.3, 1.05]},
    )
