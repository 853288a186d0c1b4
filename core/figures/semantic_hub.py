"""How alike two forms of one meaning are at every depth, beside mixed pairs and fresh weights."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures import lines
from core.figures.probe_family import layers, state
from core.figures.relations import HUES, SYMBOLS
from core.figures.theme import Look, colour, drawn, faint, note
from core.figures.wording import count, escaped, number, quoted, readable
from core.results.semantic_hub import SemanticHub
from core.spec.errors import Error

VIEWS = ("layers", "found", "pairs")
HEIGHT = 420
SHOWN = {
    "centred": ("cosine of two forms above others, centred", "centred_low", "centred_high"),
    "similarity": ("cosine of two forms above others", "low", "high"),
}
MOST_NAMED = 60  # pairs in one picture


def figure(
    result: SemanticHub,
    look: Look,
    *,
    view: str = "layers",
    show: str = "centred",
    group: int | None = None,
    layer: int | None = None,
) -> go.Figure:
    """A line for each group over the depth; thin dots are fresh weights, grey are mixed pairs.

    view   "layers"; "found": how often the own second form is the nearest; "pairs": every pair of
           one group at one depth
    show   in "layers": "centred" or "similarity", the definition without centring
    group  in "pairs" the group, in "layers" the only one drawn with its interval; None: the first
    layer  in "pairs": row of the stream, 0 is the embedding; None: the best of the group
    """
    if group is not None and not 0 <= group < len(result.groups):
        raise Error(f"group {group}: this answer has 0 to {len(result.groups) - 1}")
    match view:
        case "layers":
            return _layers(result, look, show, group)
        case "found":
            return _found(result, look)
        case "pairs":
            return _pairs(result, look, group or 0, layer)
    raise Error(f"forms can show {', '.join(VIEWS)}, not {str(view)[:20]!r}")


def title(result: SemanticHub) -> str:
    """How many groups meet in the middle, and the clearest of them."""
    hubs = [at for at in range(len(result.groups)) if result.hub(at)]
    at = max(
        hubs or range(len(result.groups)),
        key=lambda each: float(np.nan_to_num(result.centred[result.best[each], each], nan=-9)),
    )
    row = int(result.best[at])
    return (
        f"{len(hubs)} of {count(len(result.groups), 'kind')} of pairs meet inside the model; "
        f"{readable(result.groups[at])[:40]}: {number(result.centred[row, at])} at {state(row)} "
        f"(mixed pairs below {number(result.centred_control[row, at])}, fresh weights "
        f"{number(result.untrained[row, at])}), {number(result.centred[0, at])} and "
        f"{number(result.centred[-1, at])} at the ends"
    )


def caption(result: SemanticHub) -> str:
    """Controls, sample and what the forms share, in words."""
    shares = ", ".join(
        f"{readable(name)[:30]} {number(value)}"
        for name, value in zip(result.groups, result.shared, strict=True)
    )
    ends = ""
    if result.n_continued:
        said = count(result.n_continued, "text")
        ends = f"; {quoted(result.continuation, most=40)} put behind {said} with punctuation"
    return (
        f"{count(len(result.first), 'pair')}; mean cosine of the two forms of a meaning minus that "
        f"of different meanings, each form's mean taken away; control: second forms dealt out anew "
        f"{result.n_permuted} times, 95 %, and fresh weights; tokens that two forms share more "
        f"than others do (Jaccard): {shares}{ends}; {result.read} token, {result.prepare}; seed "
        f"{result.seed}"
    )


def _hue(at: int) -> str:
    return HUES[at % len(HUES)]


def _line(x: np.ndarray, y: np.ndarray, at: int, name: str, **more: Any) -> go.Scatter:
    named = escaped(readable(name)[:36])
    return go.Scatter(
        x=x, y=y, mode="lines+markers", name=named, line={"color": _hue(at), "width": 2},
        marker={"symbol": SYMBOLS[at // len(HUES) % len(SYMBOLS)], "size": 7},
        hovertemplate=f"{named}<br>%{{y:.3~g}}<extra></extra>", **more,
    )  # fmt: skip


def _layers(result: SemanticHub, look: Look, show: str, group: int | None) -> go.Figure:
    if show not in SHOWN:
        raise Error(f"show= is one of {', '.join(SHOWN)}, not {str(show)[:20]!r}")
    words, low, high = SHOWN[show]
    values = getattr(result, show)
    control = result.centred_control if show == "centred" else result.control_high
    x = np.arange(len(values))
    shown = range(len(result.groups)) if group is None else [group]
    top = np.fmax.reduce(control[:, list(shown)], axis=1)
    traces: list[Any] = lines.band(x, np.zeros(len(x)), top, look, role="control", alpha=0.3)
    traces[-1].update(name="mixed pairs, to 95 %", showlegend=True)
    for at in shown:
        if group is not None:
            least, most = (getattr(result, name)[:, at] for name in (low, high))
            traces += lines.band(x, least, most, look, role="muted", alpha=0.15)
        traces.append(_line(x, values[:, at], at, result.groups[at]))
        if show == "centred" and np.isfinite(result.untrained[:, at]).any():
            traces.append(
                go.Scatter(
                    x=x, y=result.untrained[:, at], mode="lines", showlegend=False,
                    line={"color": _hue(at), "width": 1.2, "dash": "dot"},
                    hovertemplate=f"{escaped(readable(result.groups[at])[:36])}, fresh weights<br>"
                    "%{y:.3~g}<extra></extra>",
                )
            )  # fmt: skip
    said = "dotted: fresh weights" if show == "centred" else ""
    return drawn(
        traces, look, title=title(result), height=HEIGHT, showlegend=True, legend={"y": 1.06},
        margin={"t": 120}, xaxis=layers(len(x)), yaxis={"title": {"text": words}},
        annotations=[note(said, look, x=1, y=1.01, xref="paper", yref="paper", xanchor="right",
                          yanchor="bottom")] if said else [],
    )  # fmt: skip


def _found(result: SemanticHub, look: Look) -> go.Figure:
    x = np.arange(len(result.found))
    chance = 1 / np.maximum(result.n_pairs, 1)
    traces: list[Any] = lines.band(
        x, np.zeros(len(x)), np.full(len(x), chance.max()), look, role="control", alpha=0.3
    )
    traces[-1].update(name="chance", showlegend=True)
    for at, name in enumerate(result.groups):
        traces.append(_line(x, result.found[:, at], at, name))
        if np.isfinite(result.untrained_found[:, at]).any():
            traces.append(
                go.Scatter(x=x, y=result.untrained_found[:, at], mode="lines", showlegend=False,
                           line={"color": _hue(at), "width": 1.2, "dash": "dot"},
                           hoverinfo="skip")
            )  # fmt: skip
    return drawn(
        traces, look,
        title="How often the nearest second form is the own one (dotted: fresh weights)",
        height=HEIGHT, showlegend=True, legend={"y": 1.02}, margin={"t": 110},
        xaxis=layers(len(x)),
        yaxis={"title": {"text": "share of the pairs"}, "range": [-0.02, 1.02],
               "tickformat": ".0%"},
    )  # fmt: skip


def _pairs(result: SemanticHub, look: Look, group: int, layer: int | None) -> go.Figure:
    row = int(result.best[group]) if layer is None else layer
    if not 0 <= row <= result.n_layers:
        raise Error(f"layer {row}: this answer has 0 (embedding) to {result.n_layers}")
    here = np.flatnonzero(result.group == group)
    here = here[np.argsort(-result.own[row, here], kind="stable")][:MOST_NAMED]
    names = [
        f"{readable(result.first[i])[:34]}  |  {readable(result.second[i])[:34]}" for i in here
    ]
    y = np.arange(len(here), dtype=float)
    traces = [
        lines.dots(result.own[row, here], y, look, role="a", name="cosine above others", size=8)
    ]
    zero = {"type": "line", "x0": 0, "x1": 0, "y0": 0, "y1": 1, "yref": "paper", "layer": "below",
            "line": {"color": faint("control", look, 0.9), "width": 2, "dash": "dash"}}  # fmt: skip
    return drawn(
        traces, look,
        title=f"{readable(result.groups[group])[:40]} behind {state(row)}: each pair beside the "
        "other meanings (dashed)",
        height=120 + 22 * len(here),
        xaxis={"title": {"text": "cosine of the two forms minus that with other meanings"}},
        yaxis={**lines.rows_axis(names), "title": {"text": "pair"}},
        shapes=[zero], font={"color": colour("text", look)},
    )  # fmt: skip
