"""A concept over layers, checkpoints and sizes: maps side by side, curves of training and depth."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures import lines
from core.figures.grid import LABEL
from core.figures.theme import Look, colour, colour_bar, drawn, faint, note, signed
from core.figures.wording import count, escaped, number, readable, visible
from core.results.depth_emergence import DepthEmergence
from core.spec.errors import Error

VIEWS = ("map", "training", "sizes")
HEIGHT = 380
_ROLES, _DASHES = ("a", "b", "c", "clamped"), ("solid", "longdash", "dot", "dashdot")
_ALONE = 3  # columns that a model with a single checkpoint is drawn as wide as


def figure(result: DepthEmergence, look: Look, *, view: str = "") -> go.Figure:
    """Held-out AUC; dots mark cells that show the concept, squares those that do so again.

    view  "map": depth by checkpoint, a map for every model; "training": the best layer by
          checkpoint; "sizes": AUC by share of the depth, the last checkpoint of every model
    """
    if view not in ("", *VIEWS):
        raise Error(f"the figure can show {', '.join(VIEWS)}, not {view[:20]!r}")
    if not view:
        view = "sizes" if len(result.checkpoints) == len(result.models) else "map"
    return {"map": _map, "training": _training, "sizes": _sizes}[view](result, look)


def title(result: DepthEmergence) -> str:
    """Where the concept appears first in each model, in words."""
    said = []
    for model, name in enumerate(result.models):
        first = result.first(model)
        what = readable(name)[:30]
        if first is None:
            said.append(f"never in {what}")
            continue
        row, layer = first
        when = readable(result.checkpoints[row])[:30]
        where = "at the embedding" if layer == 0 else f"behind layer {layer - 1}"
        at = f"at {when}, {where}" if len(result.rows(model)) > 1 else where
        said.append(f"in {what} {at} (AUC {number(result.auc[row, layer])})")
    return f"{readable(result.concept)[:50]} is first readable {'; '.join(said)}"


def caption(result: DepthEmergence) -> str:
    """The controls and the sample, in words."""
    kinds = ", ".join(f"{level:.2f}" for level in result.most)
    again = int(result.returned.sum())
    return "; ".join(
        [
            f"ridge probes, {count(result.n_texts, 'text')}, {count(result.n_groups, 'group')} "
            f"held out in {result.n_folds} folds; "
            f"{count(len(result.checkpoints), 'checkpoint')} of "
            f"{count(len(result.models), 'model')}; control, labels shuffled {result.n_shuffles} "
            f"times: the best of all cells of a model reaches {kinds} in 1 of 20; words, token or "
            f"a coin {number(result.floor_auc.max())}",
            f"{count(again, 'cell')} show it again after a checkpoint that did not",
            f"seed {result.seed}",
            *result.notes,
        ]
    )


def _map(result: DepthEmergence, look: Look) -> go.Figure:
    models = range(len(result.models))
    wide = [max(_ALONE, len(result.rows(model))) for model in models]
    gap = 0.04
    room = (1 - gap * (len(wide) - 1)) / sum(wide)
    traces: list[Any] = []
    axes: dict[str, Any] = {}
    notes = []
    left = 0.0
    for model in models:
        last = "" if model == 0 else str(model + 1)
        right = left + room * wide[model]
        traces += _panel(result, look, model, last)
        axes[f"xaxis{last}"] = _names(result, model, [left, right], f"y{last}")
        axes[f"yaxis{last}"] = {
            "anchor": f"x{last}",
            "range": [-0.1, 1.1],
            "showgrid": False,
            "showticklabels": model == 0,
            "title": {"text": "depth (0: embedding, 1: last layer)" if model == 0 else ""},
        }
        size = f"{result.parameters[model] / 1e6:.3g} M"
        words = f"<b>{escaped(visible(result.models[model], 26))}</b> {size}"
        place: dict[str, Any] = {"xref": "paper", "yref": "paper", "xanchor": "left"}
        notes.append(note(words, look, "text", x=left, y=1.0, yanchor="bottom", **place))
        left = right + gap
    return drawn(
        traces, look, title=title(result), height=HEIGHT, margin={"t": 86, "b": 92},
        annotations=notes, **axes,
    )  # fmt: skip


def _panel(result: DepthEmergence, look: Look, model: int, last: str) -> list[Any]:
    """The map of one model and the marks on it."""
    rows = result.rows(model)
    n = int(result.n_layers[rows[-1]]) + 1
    depth = np.arange(n) / max(1, n - 1)
    values = result.auc[rows, :n].T
    hover = [[_line(result, int(row), layer) for row in rows] for layer in range(n)]
    bar = colour_bar("held-out AUC", look) if model == len(result.models) - 1 else None
    cells = go.Heatmap(
        z=values.astype("float32"), x=np.arange(len(rows)), y=depth, zmin=0, zmax=1,
        colorscale=signed(look), showscale=bar is not None, colorbar=bar, xgap=1, ygap=1,
        hovertext=np.array(hover, dtype=object), hovertemplate="%{hovertext}<extra></extra>",
        xaxis=f"x{last}", yaxis=f"y{last}",
    )  # fmt: skip
    marks = []
    again = result.returned[rows, :n].T
    for chosen, symbol in ((result.shown[rows, :n].T & ~again, "circle"), (again, "square")):
        layer, at = np.nonzero(chosen)
        marks.append(
            go.Scatter(
                x=at, y=depth[layer], mode="markers", hoverinfo="skip",
                marker={"size": 7, "symbol": symbol, "color": colour("background", look),
                        "line": {"color": colour("text", look), "width": 1.2}},
                xaxis=f"x{last}", yaxis=f"y{last}",
            )
        )  # fmt: skip
    return [cells, *marks]


def _names(result: DepthEmergence, model: int, domain: list[float], anchor: str) -> dict[str, Any]:
    """The axis of a model's checkpoints."""
    rows = result.rows(model)
    alone = len(rows) == 1
    step = -(-len(rows) // 16)
    at = list(range(0, len(rows), step))
    return {
        "domain": domain,
        "anchor": anchor,
        "tickmode": "array",
        "tickvals": at,
        "ticktext": [escaped(visible(result.checkpoints[rows[i]], LABEL + 4)) for i in at],
        "tickangle": 0 if alone else -40,
        "showgrid": False,
        "range": [-0.5, len(rows) - 0.5],
        "title": {"text": "" if alone else "checkpoint"},
    }


def _line(result: DepthEmergence, row: int, layer: int) -> str:
    low, high = np.quantile(result.control_auc[:, row, layer], (0.05, 0.95))
    where = "embedding" if layer == 0 else f"behind layer {layer - 1}"
    again = "<br>shown before, lost, and shown again" if result.returned[row, layer] else ""
    return (
        f"<b>{escaped(readable(result.checkpoints[row])[:40])}</b>, {where}"
        f"<br>AUC {number(result.auc[row, layer])} ({number(result.auc_low[row, layer])} to "
        f"{number(result.auc_high[row, layer])})<br>shuffled labels {number(low)} to {number(high)}"
        f"<br>{'shows the concept' if result.shown[row, layer] else 'not beyond chance'}{again}"
    )


def _training(result: DepthEmergence, look: Look) -> go.Figure:
    """The best layer of every checkpoint; the band is what the best of shuffled labels is."""
    traces: list[Any] = []
    longest = max(range(len(result.models)), key=lambda model: len(result.rows(model)))
    for model, name in enumerate(result.models):
        rows = result.rows(model)
        x = np.arange(len(rows))
        best = np.nanmax(result.control_auc[:, rows], axis=2)  # [shuffle, row]
        peak = result.peak[rows]
        if model == longest:
            low, high = np.quantile(best, (0.05, 0.95), axis=0)
            traces += lines.band(x, low, high, look, role="control", alpha=0.3)
            traces[-1].update(name="shuffled labels, best layer, 90 %", showlegend=True)
        ends = result.auc_low[rows, peak], result.auc_high[rows, peak]
        role = _ROLES[model % 4]
        if len(rows) > 1:
            traces += lines.band(x, *ends, look, role=role)
        else:
            x = np.array([len(result.rows(longest)) - 1])
        line = lines.curve(
            x, result.auc[rows, peak], look, role=role, name=name, dash=_DASHES[model % 4],
            symbol="circle" if len(rows) > 1 else "diamond",
        )  # fmt: skip
        line.hovertext = np.array([_line(result, int(row), int(result.peak[row])) for row in rows])
        line.hovertemplate = "%{hovertext}<extra></extra>"
        traces.append(line)
    axis = _names(result, longest, [0, 1], "y")
    floor = float(result.floor_auc.max())
    level = {"color": faint("a", look, 0.8), "width": 1.5, "dash": "dot"}
    return drawn(
        traces, look, title=title(result), height=HEIGHT, showlegend=True, legend={"y": 1.02},
        margin={"t": 92, "b": 92}, xaxis={**axis, "showgrid": False},
        yaxis={"title": {"text": "held-out AUC of the best layer"}, "range": [0.35, 1.03]},
        shapes=[{"type": "line", "xref": "x domain", "x0": 0, "x1": 1, "y0": floor, "y1": floor,
                 "layer": "below", "line": level}],
    )  # fmt: skip


def _sizes(result: DepthEmergence, look: Look) -> go.Figure:
    """The last checkpoint of every model over relative depth."""
    traces: list[Any] = []
    for model, name in enumerate(result.models):
        row = int(result.rows(model)[-1])
        n = int(result.n_layers[row]) + 1
        x = np.arange(n) / max(1, n - 1)
        role = _ROLES[model % 4]
        low, high = np.quantile(result.control_auc[:, row, :n], (0.05, 0.95), axis=0)
        chance = lines.band(x, low, high, look, role="control", alpha=0.2)
        chance[-1].update(
            name="shuffled labels, 90 %", showlegend=model == 0, legendgroup="shuffled"
        )
        traces += chance
        ends = result.auc_low[row, :n], result.auc_high[row, :n]
        traces += lines.band(x, *ends, look, role=role)
        words = f"{name}, {result.parameters[model] / 1e6:.3g} M"
        line = lines.curve(
            x, result.auc[row, :n], look, role=role, name=words, dash=_DASHES[model % 4]
        )
        line.hovertext = np.array([_line(result, row, layer) for layer in range(n)])
        line.hovertemplate = "%{hovertext}<extra></extra>"
        traces.append(line)
    return drawn(
        traces, look, title=title(result), height=HEIGHT, showlegend=True, legend={"y": 1.02},
        margin={"t": 92},
        xaxis={"title": {"text": "depth (0: embedding, 1: last layer)"}, "range": [-0.02, 1.02]},
        yaxis={"title": {"text": "held-out AUC"}, "range": [0.3, 1.03]},
    )  # fmt: skip
