"""Which features fire on a pattern: precision against recall, beside units and luck."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures.theme import Look, colour, drawn, note
from core.figures.wording import count, escaped, number, readable, visible
from core.results.feature_fires import FeatureFires

HEIGHT = 420
_LABEL = 32


def figure(result: FeatureFires, look: Look) -> go.Figure:
    """Small points: every feature with a hit; large ones: the table; diamonds: single units."""
    table = _points(result, look)
    return drawn(
        [_all(result, look), _control(result, look), table, *_others(result, look)],
        look,
        title=title(result),
        height=HEIGHT,
        annotations=_notes(result, look),
        xaxis={"title": {"text": "recall: share of targets it fires on"}, "range": [-0.02, 1.03]},
        yaxis={"title": {"text": "precision: share of firings on targets"}, "range": [-0.02, 1.05]},
    )


def title(result: FeatureFires) -> str:
    """The best feature of the table, or that none beats the control."""
    what = readable(result.target)[:80]
    best = int(np.nan_to_num(result.table_f1).argmax())
    f1, chance = float(result.table_f1[best]), float(result.control_f1.max())
    if f1 <= chance:
        return (
            f"No feature tells {what} from other tokens better than chance: F1 {number(f1)}, "
            f"turned marks reach {number(chance)}"
        )
    return (
        f"feature {result.table[best]} fires on {what}: precision "
        f"{number(result.table_precision[best])}, recall {number(result.table_recall[best])}; "
        f"turned marks reach F1 {number(chance)}"
    )


def caption(result: FeatureFires) -> str:
    """The control and the sample, in words."""
    least = f"precision {number(result.least_precision)}"
    found = f"{count(result.n_found, 'feature')} of at least {least} on the other half"
    together = ", ".join(map(str, result.union))
    luck = number(result.chance_precision.mean())
    return (
        f"{count(result.n_targets[1], 'target')} among {count(result.n_tokens[1], 'token')} of "
        f"{result.corpus}, chosen on the other half ({result.n_targets[0]:,} targets); {found}; "
        f"control, marks turned round in their documents {len(result.control_f1)} times: best F1 "
        f"{number(result.control_f1.mean())}, best precision {luck} on "
        f"average; features {together} together: F1 {number(result.union_scores[2])}"
    )


def _all(result: FeatureFires, look: Look) -> go.Scattergl:
    return go.Scattergl(
        x=result.recall,
        y=result.precision,
        mode="markers",
        marker={"size": 5, "color": colour("muted", look), "opacity": 0.5},
        customdata=result.feature,
        hovertemplate="feature %{customdata}<br>precision %{y:.3f}, recall %{x:.3f}<extra></extra>",
    )


def _points(result: FeatureFires, look: Look) -> go.Scatter:
    labels = dict(result.named)
    numbers = np.stack([result.table, result.table_f1, result.threshold, result.threshold_f1], 1)
    return go.Scatter(
        x=result.table_recall,
        y=np.nan_to_num(result.table_precision),
        mode="markers",
        marker={"size": 9, "color": colour("a", look)},
        customdata=numbers,
        hovertext=[escaped(visible(labels.get(one, " "), _LABEL)) for one in result.table.tolist()],
        hovertemplate="feature %{customdata[0]} %{hovertext}<br>precision %{y:.3f}, recall %{x:.3f}"
        "<br>F1 %{customdata[1]:.3f}; above %{customdata[2]:.3~g}: %{customdata[3]:.3f}"
        "<extra></extra>",
    )


def _others(result: FeatureFires, look: Look) -> list[go.Scatter]:
    """The union and the single units."""
    precision, recall, f1 = result.union_scores
    star = go.Scatter(
        x=[recall],
        y=[precision],
        mode="markers",
        marker={"size": 13, "symbol": "star", "color": colour("c", look)},
        hovertemplate=f"{len(result.union)} features together<br>precision %{{y:.3f}}, recall "
        f"%{{x:.3f}}<br>F1 {f1:.3f}<extra></extra>",
    )
    units = go.Scatter(
        x=result.baseline_recall,
        y=result.baseline_precision,
        mode="markers",
        marker={"size": 10, "symbol": "diamond-open", "color": colour("b", look)},
        hovertext=[escaped(name) for name in result.baselines],
        customdata=result.baseline_f1,
        hovertemplate="%{hovertext} at that recall<br>precision %{y:.3f}, recall %{x:.3f}"
        "<br>best F1 of its kind %{customdata:.3f}<extra></extra>",
    )
    return [star, units] if result.baselines else [star]


def _control(result: FeatureFires, look: Look) -> go.Scatter:
    """Precision that gives the control's best F1 at each recall."""
    f1 = max(float(result.control_f1.max()), 1e-6)
    recall = np.linspace(max(f1 / (2 - f1), 1e-3), 1, 60)
    return go.Scatter(
        x=recall,
        y=np.minimum(1, f1 * recall / np.maximum(2 * recall - f1, 1e-9)),
        mode="lines",
        line={"color": colour("control", look), "width": 1.5, "dash": "dash"},
        hovertemplate="as good as the best of the turned marks<extra>control</extra>",
    )


def _notes(result: FeatureFires, look: Look) -> list[dict[str, Any]]:
    words = "● table   ★ up to five together"
    words += "   ◇ best neuron and coordinate" if result.baselines else ""
    return [note(words, look, x=1, y=1.05, xanchor="right")]
