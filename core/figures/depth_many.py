"""Depth of several models on one set, and of several sets in one model."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures.depth import NAMES
from core.figures.lines import band, curve
from core.figures.theme import Look, colour, drawn, faint, note
from core.figures.wording import escaped, number
from core.results.depth import Depth

ROLES = ("a", "b", "c")
DASHES = {"a": "solid", "b": "longdash", "c": "dot"}
TRACES = 6  # of one model in `overlay`
COLUMNS, CELL = 3, 176  # of `multiples`, pixels of a row


def overlay(
    results: Sequence[tuple[str, Depth]], look: Look, *, score: str = "accuracy"
) -> go.Figure:
    """Named results on relative depth, each with interval, shuffled labels and floor."""
    traces: list[go.Scatter] = []
    shapes: list[dict[str, Any]] = []
    lows = []
    for (name, one), role in zip(results, ROLES, strict=False):
        x = np.arange(one.n_layers + 1) / max(1, one.n_layers)
        traces += _with_control(one, look, score, x, role, name)
        shapes += _marks(one, look, score, x, role, "x", "y")
        lows.append(_least(one, score))
    return drawn(
        traces,
        look,
        title=f"{escaped(results[0][1].concept)} in {len(results)} models",
        height=380,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 72, "r": 16},
        shapes=shapes,
        xaxis={"title": {"text": "depth (0: embedding, 1: last layer)"}, "range": [-0.02, 1.02]},
        yaxis={"title": {"text": NAMES[score]}, "range": [min(lows), 1.03]},
    )


def multiples(
    results: Sequence[tuple[str, Depth]],
    look: Look,
    *,
    score: str = "accuracy",
    others: Sequence[tuple[int, str, str, Depth]] = (),
) -> go.Figure:
    """A small curve for every set, in the order given: as `figure`, without hover boxes.

    others  curves of further models: (number of the cell, role, the model's name, its answer), as
            one line each behind all others, at their share of the depth
    """
    n_rows = -(-len(results) // COLUMNS)
    traces: list[go.Scatter] = []
    shapes: list[dict[str, Any]] = []
    notes: list[dict[str, Any]] = []
    axes: dict[str, Any] = {}
    low = min(_least(one, score) for _, one in results)
    gap = 58 / (CELL * n_rows)
    for place_, (name, one) in enumerate(results):
        row, column = divmod(place_, COLUMNS)
        last = "" if place_ == 0 else str(place_ + 1)
        left = column / COLUMNS + (0.02 if column else 0)
        top = 1 - row / n_rows
        x = np.arange(one.n_layers + 1, dtype=float)
        for trace in _with_control(one, look, score, x, "a", name):
            trace.update(xaxis=f"x{last}", yaxis=f"y{last}", showlegend=False)
            traces.append(trace)
        shapes += _marks(one, look, score, x, "a", f"x{last}", f"y{last}")
        axes[f"xaxis{last}"] = {
            "domain": [left, (column + 1) / COLUMNS - 0.02],
            "anchor": f"y{last}",
            "range": [-0.3, one.n_layers + 0.3],
            "nticks": 6,
            "showgrid": False,
        }
        axes[f"yaxis{last}"] = {
            "domain": [top - 1 / n_rows + 24 / (CELL * n_rows), top - gap / 2],
            "anchor": f"x{last}",
            "range": [low, 1.05],
            "nticks": 4,
            "showticklabels": column == 0,
        }
        words = f"<b>{escaped(name[:28])}</b><br>{_short(one, score)}"
        place = {"xref": "paper", "yref": "paper", "xanchor": "left", "yanchor": "top"}
        notes.append(note(words, look, "text", x=left, y=top, align="left", **place))
    traces += _others(results, others, look, score)
    return drawn(
        traces, look, title=f"{len(results)} sets of texts", height=CELL * n_rows + 34,
        margin={"t": 34, "b": 4, "l": 40, "r": 8}, shapes=shapes, annotations=notes, **axes,
    )  # fmt: skip


def _others(
    results: Sequence[tuple[str, Depth]],
    others: Sequence[tuple[int, str, str, Depth]],
    look: Look,
    score: str,
) -> list[go.Scatter]:
    """A dashed line for each further model of each cell."""
    found = []
    for cell, role, name, one in others:
        last = "" if cell == 0 else str(cell + 1)
        x = np.arange(one.n_layers + 1) / max(1, one.n_layers) * results[cell][1].n_layers
        line = curve(
            x, getattr(one, score), look, role=role, name=name, dash=DASHES[role], symbol="diamond"
        )
        line.update(xaxis=f"x{last}", yaxis=f"y{last}", showlegend=False)
        found.append(line)
    return found


def order(results: Sequence[tuple[str, Depth]], score: str) -> list[tuple[str, Depth]]:
    """By where each becomes readable; then by half-rise; what is not readable last."""
    which = 0 if score == "accuracy" else 1

    def place(pair: tuple[str, Depth]) -> tuple[bool, float, float]:
        onset, half = pair[1].onset(score), float(pair[1].points["half_rise"][which, 0])
        if onset is None:
            return (not pair[1].readable(score), np.inf, half if np.isfinite(half) else np.inf)
        return (False, onset, half if np.isfinite(half) else np.inf)

    return sorted(results, key=place)


def rows(results: Sequence[tuple[str, Depth]], score: str) -> list[dict[str, object]]:
    """The summary of each as a row of a table."""
    which = 0 if score == "accuracy" else 1
    found: list[dict[str, object]] = []
    for name, one in results:
        values, known = getattr(one, score), one.readable(score)
        points = {
            word: number(one.points[key][which, 0]) if known else "–"
            for key, word in (("half_rise", "half-rise"), ("saturation", "saturation"))
        }
        selective = one.selectivity[int(values.argmax())]
        found.append(
            {
                "texts": name,
                "verdict": _when(one, score),
                **points,
                f"best {NAMES[score]}": number(values.max()),
                "at layer": int(values.argmax()),
                "floor": number(one.highest_floor(score)),
                "shuffled, best layer": number(one.control_most[which]),
                "selectivity": number(selective) if np.isfinite(selective) else "–",
                "n": one.n_texts,
                "classes": len(one.classes),
                "held out": "groups" if one.grouped else "texts",
            }
        )
    return found


def _when(one: Depth, score: str) -> str:
    onset = one.onset(score)
    if onset is not None:
        return "from the embedding on" if onset == 0 else f"from layer {onset} of {one.n_layers}"
    return "at single layers" if one.readable(score) else "not readable"


def _short(one: Depth, score: str) -> str:
    """The same in the width of a small curve."""
    onset = one.onset(score)
    if onset is None:
        return _when(one, score)
    return "embedding" if onset == 0 else f"layer {onset} of {one.n_layers}"


def _with_control(
    one: Depth, look: Look, score: str, x: np.ndarray, role: str, name: str
) -> list[go.Scatter]:
    """`TRACES` traces: shuffled labels with their band, then held-out texts with theirs."""
    low, high = getattr(one, f"control_{score}_low"), getattr(one, f"control_{score}_high")
    shuffled = curve(
        x, getattr(one, f"control_{score}"), look, role="control", name="shuffled labels",
        dash="dash", showlegend=role == "a", legendgroup="shuffled",
    )  # fmt: skip
    shuffled.mode = "lines"
    line = curve(x, getattr(one, score), look, role=role, name=name, dash=DASHES[role])
    ends = getattr(one, f"{score}_low"), getattr(one, f"{score}_high")
    return [
        *band(x, low, high, look, role="control", alpha=0.24),
        shuffled,
        *band(x, *ends, look, role=role),
        line,
    ]


def _marks(
    one: Depth, look: Look, score: str, x: np.ndarray, role: str, xref: str, yref: str
) -> list[dict[str, Any]]:
    """The floor and, where it is readable, from where on."""
    level = one.highest_floor(score)
    found: list[dict[str, Any]] = [
        {"type": "line", "layer": "below", "xref": f"{xref} domain", "yref": yref, "x0": 0, "x1": 1,
         "y0": level, "y1": level,
         "line": {"color": faint(role, look, 0.8), "width": 1.5, "dash": "dot"}},
    ]  # fmt: skip
    onset = one.onset(score)
    if onset is not None:
        found.append(
            {"type": "line", "layer": "below", "xref": xref, "yref": f"{yref} domain",
             "x0": x[onset], "x1": x[onset], "y0": 0, "y1": 1,
             "line": {"color": colour(role, look), "width": 1, "dash": "dash"}}
        )  # fmt: skip
    return found


def _least(one: Depth, score: str) -> float:
    lines = [getattr(one, f"{score}_low"), getattr(one, f"control_{score}_low")]
    found = min(float(np.nanmin(line)) for line in lines)
    return max(-0.02, min(found, one.highest_floor(score)) - 0.06)
