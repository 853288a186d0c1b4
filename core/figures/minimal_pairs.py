"""Minimal pairs: the probe's choice by layer beside the model's own, by kind, and pair by pair."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures import lines
from core.figures.probe_family import layers, state
from core.figures.theme import BOTTOM, TOP, Look, colour, drawn, faint, note
from core.figures.wording import count, escaped, number, readable
from core.results.minimal_pairs import WAYS, MinimalPairs
from core.spec.errors import Error

VIEWS = ("layers", "kinds", "pairs")
NAMES = {"ending": "common ending", "text": "whole text", "asked": "asked outright"}
MOST = 600  # pairs with a hover line


def figure(result: MinimalPairs, look: Look, *, view: str = "layers") -> go.Figure:
    """Share of pairs in which the right text is chosen, 0.5 is a coin.

    view  "layers": probe by layer, level lines for the model's own choice; "kinds": both for every
          kind of pair; "pairs": how far each pair is preferred against how far it is read
    """
    if view not in VIEWS:
        raise Error(f"the figure can show {', '.join(VIEWS)}, not {view[:20]!r}")
    if view == "kinds":
        return _kinds(result, look)
    return _pairs(result, look) if view == "pairs" else _layers(result, look)


def title(result: MinimalPairs) -> str:
    """What the model prefers and what a probe reads, in words."""
    said = f"{readable(result.pairs)[:40]}: "
    if result.way >= 0:
        way = WAYS[result.way]
        said += (
            f"the model prefers the right text in {_share(result.direct[result.way])} of "
            f"{count(len(result.good), 'pair')} ({NAMES[way]}); "
        )
    if not result.readable:
        best = result.chosen.max()
        return f"{said}a probe does not read it above chance (at best {_share(best)})"
    return (
        f"{said}a probe chooses it in {_share(result.nested)} at the layer found on other pairs, "
        f"most behind {state(result.best)}"
    )


def caption(result: MinimalPairs) -> str:
    """The controls and the sample, in words."""
    parts = [
        f"ridge probes of the state at {result.position}; {count(result.n_groups, 'group')} held "
        f"out in {result.n_folds} folds; control: good and bad exchanged in pairs "
        f"{result.n_shuffles} times, the best layer reaches {_share(result.most)} in 1 of 20; "
        f"words alone {_share(result.words_chosen)}; the good text is the shorter one in "
        f"{_share(result.shorter)}"
    ]
    points = result.points
    if result.readable and np.isfinite(points["saturation"]):
        parts.append(
            f"saturated at state {points['saturation']:.0f} of {result.n_layers}, peak at "
            f"{points['peak']:.0f}"
        )
    others = [
        f"{NAMES[name]} {_share(result.direct[row])} ({_share(result.direct_low[row])} to "
        f"{_share(result.direct_high[row])})"
        for row, name in enumerate(WAYS)
        if np.isfinite(result.direct[row])
    ]
    if others:
        parts.append(f"the model's own choice: {', '.join(others)}")
    fresh = result.untrained_direct[max(0, result.way)]
    if np.isfinite(result.untrained_chosen).any():
        own = f", own choice {_share(fresh)}" if np.isfinite(fresh) else ""
        parts.append(f"fresh weights: probe {_share(np.nanmax(result.untrained_chosen))}{own}")
    return "; ".join([*parts, f"seed {result.seed}", *result.notes])


def _share(value: float) -> str:
    return "no value" if np.isnan(value) else f"{100 * float(value):.0f} %"


def _layers(result: MinimalPairs, look: Look) -> go.Figure:
    x = np.arange(len(result.sites))
    low, high = np.quantile(result.control_chosen, (0.05, 0.95), axis=0)
    traces = lines.band(x, low, high, look, role="control", alpha=0.3)
    traces[-1].update(name="good and bad exchanged, 90 %", showlegend=True)
    if np.isfinite(result.untrained_chosen).any():
        traces.append(
            lines.curve(
                x, result.untrained_chosen, look, role="control", name="probe of fresh weights",
                dash="dot", symbol="x",
            )
        )  # fmt: skip
    traces += lines.band(x, result.chosen_low, result.chosen_high, look, role="a")
    traces.append(lines.curve(x, result.chosen, look, role="a", name="probe"))
    shapes: list[dict[str, Any]] = [_level(result.floor, look, "a", "dot", 1.2)]
    notes = []
    for row, (name, dash) in enumerate(zip(WAYS, ("solid", "dash", "dashdot"), strict=True)):
        value = float(result.direct[row])
        if np.isfinite(value):
            traces.append(_line(x, value, look, f"model: {NAMES[name]}", dash))
    notes.append(
        note("a coin or words alone", look, x=1, xref="paper", xanchor="right", y=result.floor,
             yanchor="top")
    )  # fmt: skip
    least = min(0.4, float(low.min()), float(result.chosen_low.min()))
    return drawn(
        traces, look, title=title(result), height=400, showlegend=True, legend={"y": 1.02},
        margin={"t": 110}, shapes=shapes, annotations=notes, xaxis=layers(len(x)),
        yaxis={"title": {"text": "share of pairs chosen right"}, "range": [least - 0.03, 1.03]},
    )  # fmt: skip


def _line(x: np.ndarray, value: float, look: Look, name: str, dash: str) -> go.Scatter:
    return go.Scatter(
        x=x, y=np.full(len(x), value), mode="lines", name=escaped(name),
        line={"color": colour("b", look), "width": 2, "dash": dash},
        hovertemplate=f"{escaped(name)}<br>%{{y:.3f}}<extra></extra>",
    )  # fmt: skip


def _level(y: float, look: Look, role: str, dash: str, width: float) -> dict[str, Any]:
    line = {"color": faint(role, look, 0.8), "width": width, "dash": dash}
    return {"type": "line", "xref": "x domain", "x0": 0, "x1": 1, "y0": y, "y1": y,
            "layer": "below", "line": line}  # fmt: skip


def _kinds(result: MinimalPairs, look: Look) -> go.Figure:
    y = np.arange(len(result.kinds), dtype=float)
    sizes = np.bincount(result.kind, minlength=len(result.kinds))
    width = 1.96 * 0.5 / np.sqrt(np.maximum(sizes, 1))
    traces = [
        lines.ranges(0.5 - width, 0.5 + width, y, look, name="a coin, 95 %"),
        lines.dots(
            result.by_kind(result.margin[result.best]), y - 0.12, look, role="a",
            name=f"probe behind {state(result.best)}", size=10,
        ),
    ]  # fmt: skip
    for row, (name, symbol) in enumerate(
        zip(WAYS, ("diamond", "square", "triangle-up"), strict=True)
    ):
        if np.isfinite(result.direct[row]):
            traces.append(
                lines.dots(
                    result.by_kind(result.gap[row]), y + 0.12, look, role="b", symbol=symbol,
                    name=f"model: {NAMES[name]}", size=10,
                )
            )  # fmt: skip
    names = [f"{name[:24]} ({n})" for name, n in zip(result.kinds, sizes, strict=True)]
    return drawn(
        traces, look, title=title(result), height=TOP + 56 * len(y) + BOTTOM + 60, showlegend=True,
        legend={"y": 1.02}, margin={"t": TOP + 50},
        xaxis={"title": {"text": "share of pairs chosen right"}, "range": [-0.02, 1.02]},
        yaxis=lines.rows_axis(names),
    )  # fmt: skip


def _pairs(result: MinimalPairs, look: Look) -> go.Figure:
    if result.way < 0:
        raise Error("this model does not continue texts, so pairs have no preference to show")
    x, y = result.gap[result.way], result.margin[result.best].astype(float)
    shown = np.linspace(0, len(x) - 1, min(len(x), MOST)).round().astype(int)
    hover = [
        f"<b>{escaped(readable(result.good[i])[:90])}</b><br>{escaped(readable(result.bad[i])[:90])}"
        f"<br>preferred by {number(x[i])} nats, probe's margin {number(y[i])}"
        for i in shown
    ]
    known = ~result.unused[shown]
    traces = []
    for name, role, symbol, here in (
        ("pairs", "a", "circle", known), ("read, but not preferred", "b", "diamond", ~known),
    ):  # fmt: skip
        traces.append(
            go.Scatter(
                x=x[shown][here], y=y[shown][here], mode="markers", name=name,
                marker={"size": 7, "color": faint(role, look, 0.75), "symbol": symbol},
                hovertext=np.array(hover, dtype=object)[here],
                hovertemplate="%{hovertext}<extra></extra>",
            )
        )  # fmt: skip
    line = {"color": colour("control", look), "width": 1, "dash": "dot"}
    across = {"type": "line", "layer": "below", "line": line}
    shapes = [
        {**across, "xref": "x domain", "x0": 0, "x1": 1, "y0": 0, "y1": 0},
        {**across, "yref": "y domain", "y0": 0, "y1": 1, "x0": 0, "x1": 0},
    ]
    return drawn(
        traces, look, title=title(result), height=420, showlegend=True, legend={"y": 1.02},
        margin={"t": 84}, shapes=shapes,
        xaxis={"title": {"text": f"nats by which the right text is preferred "
                                 f"({NAMES[WAYS[result.way]]})"}},
        yaxis={"title": {"text": f"probe's margin behind {state(result.best)}"}},
    )  # fmt: skip
