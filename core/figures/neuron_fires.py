"""Which neurons fire on a target: precision against recall, or the map of all neurons."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures import neuron_strip
from core.figures.theme import Look, colour, drawn, note
from core.figures.wording import count, number, readable
from core.results.neuron_fires import NeuronFires
from core.spec.errors import Error

HEIGHT = 420
SHOWN = ("table", "f1", "auc")


def figure(
    result: NeuronFires, look: Look, *, show: str = "table", limit: float | None = None
) -> go.Figure:
    """Points: the neurons of the table; dashes: every pair that is as good as the best control.

    show   "table"; or a map of all neurons, "f1" (signed by direction) or "auc" (minus 1/2)
    limit  the value of a map's full colour
    """
    if show not in SHOWN:
        raise Error(f"the figure can show {', '.join(SHOWN)}, not {show[:20]!r}")
    if show != "table":
        return _map(result, look, show, limit)
    return drawn(
        [_control(result, look), _points(result, look)],
        look,
        title=title(result),
        height=HEIGHT,
        annotations=_notes(result, look),
        xaxis={"title": {"text": "recall: share of targets it fires on"}, "range": [-0.02, 1.03]},
        yaxis={"title": {"text": "precision: share of firings on targets"}, "range": [-0.02, 1.05]},
    )


def title(result: NeuronFires) -> str:
    """The best neuron, or that none beats the control."""
    what = readable(result.target)[:80]
    best, chance = float(result.best_f1[0]), float(result.control_f1.max())
    if best <= chance:
        return (
            f"No neuron tells {what} from other tokens better than chance: F1 {number(best)}, "
            f"rotated marks reach {number(chance)}"
        )
    return (
        f"{_sites(result)[0]} fires on {what}: F1 {number(best)}, AUC "
        f"{number(result.best_auc[0])}; rotated marks reach F1 {number(chance)}"
    )


def caption(result: NeuronFires) -> str:
    """The control and the sample, in words."""
    return (
        f"{count(result.n_targets[1], 'target')} among {count(result.n_tokens[1], 'token')} of "
        f"{result.corpus}, thresholds from the other half ({result.n_targets[0]:,} targets); "
        f"control, marks rotated in their texts {len(result.control_f1)} times: best F1 "
        f"{number(result.control_f1.mean())} on average; {count(result.n_beyond, 'neuron')} of "
        f"{result.f1.size:,} beyond all of them"
    )


def _sites(result: NeuronFires) -> list[str]:
    prefix = f"{result.stack}." if result.stack else ""
    pairs = zip(result.best_layer.tolist(), result.best_neuron.tolist(), strict=True)
    return [f"{prefix}L{layer}.neuron[{neuron}]" for layer, neuron in pairs]


def _points(result: NeuronFires, look: Look) -> go.Scatter:
    above = result.best_direction > 0
    numbers = np.stack([result.best_f1, result.best_auc, result.threshold], axis=1)
    return go.Scatter(
        x=result.recall,
        y=result.precision,
        mode="markers",
        marker={
            "size": 8,
            "color": np.where(above, colour("high", look), colour("low", look)).tolist(),
            "symbol": np.where(above, "circle", "diamond-open").tolist(),
        },
        text=[
            f"{site}, {'above' if up else 'below minus'}"
            for site, up in zip(_sites(result), above, strict=True)
        ],
        customdata=numbers,
        hovertemplate="%{text} %{customdata[2]:.3~g}<br>precision %{y:.3f}, recall %{x:.3f}"
        "<br>F1 %{customdata[0]:.3f}, AUC %{customdata[1]:.3f}<extra></extra>",
    )


def _control(result: NeuronFires, look: Look) -> go.Scatter:
    """Precision that gives the control's best F1 at each recall."""
    f1 = float(result.control_f1.max())
    recall = np.linspace(max(f1 / (2 - f1), 1e-3), 1, 60)
    return go.Scatter(
        x=recall,
        y=np.minimum(1, f1 * recall / np.maximum(2 * recall - f1, 1e-9)),
        mode="lines",
        line={"color": colour("control", look), "width": 1.5, "dash": "dash"},
        hovertemplate="as good as the best of the rotated marks<extra>control</extra>",
    )


def _notes(result: NeuronFires, look: Look) -> list[Any]:
    f1 = float(result.control_f1.max())
    end = f1 / max(2 - f1, 1e-9)
    words = f"best of rotated marks, F1 {number(f1)}"
    curve = note(words, look, "control", x=1, y=end, xanchor="right", yanchor="bottom")
    marks = note("● above a threshold   ◇ below minus it", look, x=1, y=1.04, xanchor="right")
    return [curve, marks]


def _map(result: NeuronFires, look: Look, show: str, limit: float | None) -> go.Figure:
    own = result.f1 * result.direction if show == "f1" else result.auc - 0.5
    values = np.full((max(result.layers) + 1, own.shape[1]), np.nan, dtype=np.float32)
    values[list(result.layers)] = own
    words = {"f1": "F1 (minus: fires below zero)", "auc": "AUC − 0.5"}[show]
    return neuron_strip.figure(
        values, look, title=title(result), words=words, diverging=True, limit=limit
    )
