"""Erasure by layer: what probes still read, and what each way of erasing costs."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures.theme import Look, colour, drawn, note
from core.figures.wording import count, number
from core.results.erase import EraseResult

NAMES = {
    "leace": "LEACE",
    "orth": "orthogonal",
    "difference": "mean difference",
    "random": "random",
    "inlp": "INLP",
}


def figure(result: EraseResult, look: Look) -> go.Figure:
    """Accuracy on held-out items by layer: solid before, dots after; grey dashes are chance."""
    lines = [
        *_pair("linear probe", result.linear_before, result.linear_after, "a", result, look),
        *_pair("small network", result.mlp_before, result.mlp_after, "b", result, look),
        *_pair("new linear probe", result.fresh_before, result.fresh_after, "c", result, look),
        _line("shuffled labels", result.control, "control", "dash", result, look),
    ]
    chance = float(result.chance[0])
    level = {"x0": 0, "x1": 1, "xref": "x domain", "y0": chance, "y1": chance, "yref": "y"}
    line = {"color": colour("control", look), "width": 1, "dash": "dot"}
    words = f"always the commonest class: {number(chance)}"
    place: dict[str, Any] = {"x": 1, "xref": "x domain", "y": chance, "yref": "y"}
    return drawn(
        lines,
        look,
        title=title(result),
        height=360,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 96},
        shapes=[{"type": "line", "line": line, **level}],
        annotations=[note(words, look, xanchor="right", yanchor="top", **place)],
        xaxis={
            "title": {"text": "layer"},
            "tickmode": "array",
            "tickvals": list(range(len(result.layer))),
            "ticktext": [f"L{layer}" for layer in result.layer],
        },
        yaxis={"title": {"text": "accuracy"}, "range": [-0.02, 1.03]},
    )


def title(result: EraseResult) -> str:
    """The linear probe and the network before and after, in words."""
    return (
        f"A linear probe falls from {number(result.linear_before.mean())} to "
        f"{number(result.linear_after.mean())} (chance {number(result.chance[0])}), a small "
        f"network from {number(result.mlp_before.mean())} to {number(result.mlp_after.mean())}; "
        f"loss on neutral text {number(result.loss_increase[0], sign=True)} nats per token"
    )


def caption(result: EraseResult) -> str:
    """The control and the sample, in words."""
    return (
        f"{NAMES.get(result.method, result.method)} fitted on {result.n_train} texts of "
        f"{count(len(result.classes), 'class', 'classes')}, accuracies on {result.n_test} others, "
        f"state at {result.position}; control, shuffled labels and random directions; neutral "
        f"text of {count(result.n_neutral, 'token')}; seed {result.seed}"
    )


def _pair(
    name: str, before: np.ndarray, after: np.ndarray, role: str, result: EraseResult, look: Look
) -> list[go.Scatter]:
    return [
        _line(f"{name} before", before, role, "solid", result, look),
        _line(f"{name} after", after, role, "dot", result, look),
    ]


def _line(
    name: str, values: np.ndarray, role: str, dash: str, result: EraseResult, look: Look
) -> go.Scatter:
    return go.Scatter(
        x=np.arange(len(values)),
        y=values,
        mode="lines+markers",
        name=name,
        line={"color": colour(role, look), "width": 2, "dash": dash},
        marker={"size": 6},
        customdata=result.layer.tolist(),
        hovertemplate="layer %{customdata}<br>accuracy %{y:.3g}<extra>" + name + "</extra>",
    )


def costs(result: EraseResult, look: Look) -> go.Figure:
    """Each way of erasing: what a linear probe still reads against the loss it costs."""
    roles = ("clamped", "a", "control", "b")
    names = [NAMES.get(name, name) for name in result.methods]
    left = result.accuracy.mean(axis=1)
    traces = [
        go.Scatter(
            x=result.loss_increase[row : row + 1],
            y=left[row : row + 1],
            mode="markers+text",
            text=[name],
            textposition="top center",
            textfont={"color": colour("text", look)},
            marker={"size": 12, "color": colour(role, look)},
            hovertext=[_cost(result, row, name, left[row])],
            hovertemplate="%{hovertext}<extra></extra>",
        )
        for row, (name, role) in enumerate(zip(names, roles, strict=False))
    ]
    return drawn(
        traces,
        look,
        title="What is left against what it costs",
        height=320,
        xaxis={
            "title": {"text": "loss increase on neutral text (nats per token)"},
            "range": _room(result.loss_increase),
        },
        yaxis={"title": {"text": "linear probe after"}, "range": [-0.02, 1.12]},
    )


def _room(values: np.ndarray) -> list[float]:
    """The range of an axis that leaves the names beside its points room."""
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    pad = 0.3 * (high - low) or 0.1
    return [low - pad, high + pad]


def _cost(result: EraseResult, row: int, name: str, left: float) -> str:
    return (
        f"<b>{name}</b><br>linear probe after {number(left)}"
        f"<br>moved {number(100 * result.moved[row].mean())} % of the variance, "
        f"{number(result.rank[row].mean())} directions a layer"
        f"<br>loss {number(result.loss_increase[row], sign=True)}, "
        f"KL {number(result.kl[row])} nats per token"
        f"<br>KL behind the concept's texts {number(result.concept_kl[row])} nats"
    )
