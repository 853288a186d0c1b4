"""A dictionary while it learns: four curves on held-out text, the controls as dashed levels."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures.theme import Look, colour, drawn, note
from core.figures.wording import count, escaped, number
from core.results.train_dictionary import KINDS, TrainDictionary

HEIGHT = 420
# name: (words of the axis, x domain, y domain)
PANELS = {
    "fvu": ("unexplained variance (FVU)", (0.0, 0.46), (0.6, 1.0)),
    "delta_ce": ("cost, nats a token", (0.54, 1.0), (0.6, 1.0)),
    "l0": ("features a token (L0)", (0.0, 0.46), (0.0, 0.4)),
    "dead": ("silent for long, share", (0.54, 1.0), (0.0, 0.4)),
}


def figure(result: TrainDictionary, look: Look) -> go.Figure:
    """FVU, cost in nats, L0 and the share of silent features over the steps.

    Dashed, once training is done: PCA with as many components, and the dictionary untrained.
    """
    traces: list[Any] = []
    notes: list[Any] = []
    axes: dict[str, Any] = {}
    for place, (name, (words, x, y)) in enumerate(PANELS.items()):
        end = "" if place == 0 else str(place + 1)
        traces.append(_curve(result, name, end, look))
        axes |= _axes(end, words, x, y, place > 1, result)
        if name in ("fvu", "delta_ce"):
            levels, named = _levels(result, name, end, look)
            traces += levels
            notes += named
    return drawn(
        traces,
        look,
        title=title(result),
        height=HEIGHT,
        margin={"r": 16},
        annotations=notes,
        **axes,
    )


def title(result: TrainDictionary) -> str:
    """How far it is, and its figures, in words."""
    if not len(result.step):
        return f"{result.dictionary}: not a step yet"
    final = not np.isnan(result.final_fvu[0])
    fvu = result.final_fvu[0] if final else result.fvu[-1]
    cost = result.final_delta_ce[0] if final else result.delta_ce[-1]
    said = f"{result.dictionary}: "
    if not result.finished:
        said += f"step {result.reached:,} of {result.steps:,}, "
    said += f"FVU {number(fvu)} on held-out text"
    return said if np.isnan(cost) else f"{said}, {number(cost, sign=True)} nats a token"


def caption(result: TrainDictionary) -> str:
    """Controls and sample, in words."""
    parts = [
        f"{result.architecture}, {count(result.n_features, 'feature')} of {result.site}, "
        f"k {result.k}, {count(result.n_train_tokens, 'token')} of {escaped(result.corpus)}",
        f"judged on {count(result.n_held_tokens, 'token')}: {result.division}",
    ]
    if np.isnan(result.final_fvu[0]):
        parts.append("controls follow when training ends")
    else:
        fvu = dict(zip(KINDS, result.final_fvu, strict=True))
        parts.append(
            f"control, FVU: {number(fvu['untrained'])} untrained, {number(fvu['PCA'])} PCA with "
            f"{count(result.k, 'component')}"
        )
    if result.loss_missing:
        parts.append(result.loss_missing)
    elif not np.isnan(result.ablated).any():
        zero, mean = (number(value, sign=True) for value in result.ablated)
        parts.append(
            f"with zero / the mean at the site {zero} / {mean} nats, "
            f"{count(result.n_loss_contexts, 'context')}"
        )
    return "; ".join([*parts, *result.notes])


def _curve(result: TrainDictionary, name: str, end: str, look: Look) -> go.Scatter:
    values = getattr(result, name)
    return go.Scatter(
        x=np.asarray(result.step, float),
        y=np.asarray(values, float),
        xaxis=f"x{end}",
        yaxis=f"y{end}",
        mode="lines+markers",
        line={"color": colour("a", look), "width": 2},
        marker={"size": 5},
        hovertemplate=f"step %{{x:,}}<br>{PANELS[name][0]} %{{y:.3g}}<extra></extra>",
    )


def _levels(
    result: TrainDictionary, name: str, end: str, look: Look
) -> tuple[list[go.Scatter], list[Any]]:
    """Dashed levels of the controls, named at their right end."""
    lines, notes = [], []
    for kind, value in zip(KINDS[1:], getattr(result, f"final_{name}")[1:], strict=True):
        if np.isnan(value):
            continue
        lines.append(
            go.Scatter(
                x=np.array([0.0, result.steps]),
                y=np.repeat(float(value), 2),
                xaxis=f"x{end}",
                yaxis=f"y{end}",
                mode="lines",
                line={"color": colour("control", look), "width": 1.5, "dash": "dash"},
                hovertemplate=f"{kind}: %{{y:.3g}}<extra>control</extra>",
            )
        )
        at: dict[str, Any] = {"x": result.steps, "xref": f"x{end}", "yref": f"y{end}"}
        notes.append(note(kind, look, y=float(value), xanchor="right", yanchor="bottom", **at))
    return lines, notes


def _axes(
    end: str,
    words: str,
    x: tuple[float, float],
    y: tuple[float, float],
    bottom: bool,
    result: TrainDictionary,
) -> dict[str, Any]:
    return {
        f"xaxis{end}": {
            "domain": list(x),
            "anchor": f"y{end}",
            "title": {"text": "step" if bottom else ""},
            "range": [0, result.steps * 1.02],
            "showticklabels": bottom,
            "nticks": 5,
        },
        f"yaxis{end}": {
            "domain": list(y),
            "anchor": f"x{end}",
            "title": {"text": words},
            "rangemode": "tozero",
            "nticks": 5,
        },
    }
