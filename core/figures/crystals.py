"""Offsets of many relations: their clusters, raw and by discriminants of the other half."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures import lines
from core.figures.relations import HUES, SYMBOLS, depth_axis, place
from core.figures.theme import Look, colour, drawn, note
from core.figures.wording import count, escaped, number, readable, token
from core.results.crystals import Crystals
from core.spec.errors import Error

VIEWS = ("discriminants", "raw", "layers", "curve")
HEIGHT = 460


def figure(
    result: Crystals, look: Look, *, view: str = "discriminants", layer: int | None = None
) -> go.Figure:
    """Offsets on the discriminants of half of the pairs; the other half is drawn full.

    view   "discriminants"; "raw": the first two principal components; "layers": silhouettes by
           depth; "curve": silhouettes by the number of discriminants at one depth
    layer  row of the depth axis, 0 is the embedding; None for the best one
    """
    row = result.best if layer is None else layer
    if not 0 <= row < len(result.rows):
        raise Error(f"layer {row}: this answer has 0 (embedding) to {len(result.rows) - 1}")
    match view:
        case "discriminants":
            return _points(result, look, row, result.discriminant[row], result.held)
        case "raw":
            return _points(result, look, row, result.place[row], None)
        case "layers":
            return _layers(result, look)
        case "curve":
            return _curve(result, look, row)
    raise Error(f"crystals can show {', '.join(VIEWS)}, not {str(view)[:20]!r}")


def _most(result: Crystals, row: int) -> int:
    """The number of discriminants, as a column, with the highest held-out silhouette."""
    return int(np.nan_to_num(result.held_out[row], nan=-2).argmax())


def title(result: Crystals) -> str:
    """The held-out silhouette, its control and the raw one."""
    row = result.best
    column = _most(result, row)
    verdict = "fall together" if result.held_out[row, column] > max(
        0.0, result.control_high[row, column]
    ) else "do not clearly fall together"  # fmt: skip
    return (
        f"Offsets of {count(len(result.relations), 'relation')} {verdict} behind "
        f"{place(result.rows[row])}: held-out silhouette {number(result.held_out[row, column])} on "
        f"{result.n_discriminants[column]} discriminants (relations dealt out anew "
        f"{number(result.control[row, column])}), raw {number(result.raw[row])}"
    )


def caption(result: Crystals) -> str:
    """The in-sample numbers beside their control, and the sample."""
    row = result.best
    column = _most(result, row)
    without = f"; taken out: {', '.join(result.project_out)}" if result.project_out else ""
    return (
        f"in sample {number(result.train[row, column])}, and "
        f"{number(result.train_control[row, column])} with the relations dealt out anew; "
        f"{count(len(result.label), 'pair')} of {readable(result.concept)[:40]}, fitted on one "
        f"half, judged on the other, {2 * result.n_splits} halves; control: {result.n_permuted} "
        f"deals; means over {count(len(result.contexts), 'context')}, {result.read} piece, "
        f"{result.prepare}{without}; seed {result.seed}"
    )


def _points(
    result: Crystals, look: Look, row: int, where: np.ndarray, held: np.ndarray | None
) -> go.Figure:
    if not np.isfinite(where).any():
        raise Error(f"too few words have vectors of their own at {place(result.rows[row])}")
    traces: list[Any] = []
    for at, name in enumerate(result.relations):
        own = (result.label == at) & np.isfinite(where[:, 0])
        hue, symbol = HUES[at % len(HUES)], SYMBOLS[at // len(HUES) % len(SYMBOLS)]
        parts = [(own, 0.85, True)]
        if held is not None:
            parts = [(own & ~held, 0.22, False), (own & held, 0.9, True)]
        for chosen, opacity, named in parts:
            pairs = np.flatnonzero(chosen)
            traces.append(
                go.Scattergl(
                    x=where[chosen, 0], y=where[chosen, 1], mode="markers",
                    name=escaped(readable(name)[:24]), legendgroup=name, showlegend=named,
                    marker={"color": hue, "symbol": symbol, "size": 7, "opacity": opacity},
                    hovertext=[f"{token(result.first[i])} → {token(result.second[i])}"
                               for i in pairs],
                    customdata=pairs,
                    hovertemplate="%{hovertext}<extra>" + escaped(readable(name)[:24])
                    + "</extra>",
                )
            )  # fmt: skip
    kind, said = "principal component", f"silhouette in all dimensions {number(result.raw[row])}, "
    said += f"relations dealt out anew {number(result.raw_control[row])}"
    if held is not None:
        kind = "discriminant"
        said = (
            f"full: the held-out half, silhouette on two {number(result.held_out[row, 0])} "
            f"(relations dealt out anew {number(result.control[row, 0])})"
        )
    return drawn(
        traces,
        look,
        title=title(result),
        height=HEIGHT,
        showlegend=True,
        legend={"y": 1.06},
        margin={"t": 120},
        xaxis={"title": {"text": f"first {kind} behind {place(result.rows[row])} (no unit)"}},
        yaxis={"title": {"text": f"second {kind} (no unit)"}},
        annotations=[note(said, look, x=0, y=1.01, xref="paper", yref="paper", xanchor="left",
                          yanchor="bottom")],
        font={"color": colour("text", look)},
    )  # fmt: skip


def _layers(result: Crystals, look: Look) -> go.Figure:
    x = np.arange(len(result.rows))
    column = _most(result, result.best)
    n = result.n_discriminants[column]
    low, high = result.control[:, column], result.control_high[:, column]
    traces = [
        *lines.band(x, low, high, look, role="control", alpha=0.3),
        lines.curve(x, low, look, role="control", name="held out, dealt out anew", dash="dash",
                    symbol="x"),
        lines.curve(x, result.train_control[:, column], look, role="control",
                    name="in sample, dealt out anew", dash="dot", symbol="cross"),
        lines.curve(x, result.train[:, column], look, role="b", name="in sample", dash="longdash",
                    symbol="diamond"),
        lines.curve(x, result.held_out[:, column], look, role="a", name="held out"),
        lines.curve(x, result.raw, look, role="c", name="raw offsets", dash="dashdot",
                    symbol="square"),
    ]  # fmt: skip
    return drawn(
        traces, look, title=title(result), height=HEIGHT - 60, showlegend=True, legend={"y": 1.02},
        margin={"t": 110}, xaxis=depth_axis(result.rows),
        yaxis={"title": {"text": f"silhouette on {n} discriminants"}},
    )  # fmt: skip


def _curve(result: Crystals, look: Look, row: int) -> go.Figure:
    x = result.n_discriminants
    traces = [
        *lines.band(x, result.control[row], result.control_high[row], look, role="control",
                    alpha=0.3),
        lines.curve(x, result.control[row], look, role="control", name="held out, dealt out anew",
                    dash="dash", symbol="x"),
        lines.curve(x, result.train_control[row], look, role="control",
                    name="in sample, dealt out anew", dash="dot", symbol="cross"),
        lines.curve(x, result.train[row], look, role="b", name="in sample", dash="longdash",
                    symbol="diamond"),
        lines.curve(x, result.held_out[row], look, role="a", name="held out"),
    ]  # fmt: skip
    return drawn(
        traces, look, title=title(result), height=HEIGHT - 60, showlegend=True, legend={"y": 1.02},
        margin={"t": 110},
        xaxis={"title": {"text": f"discriminants behind {place(result.rows[row])}"}, "dtick": 1},
        yaxis={"title": {"text": "silhouette"}},
    )  # fmt: skip
