"""What heads say straight to the answer: beside the whole effect, layer by layer, and repaired."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures.head_maps import Panel, hovers, largest, maps
from core.figures.theme import UNSIGNED, Look, colour, colour_bar, drawn, faint, note
from core.figures.wording import escaped, number, quoted
from core.results.head_effect import LEAST_DIRECT, HeadEffect
from core.spec.site import Site

HEIGHT = 360
_KINDS = {"direct": "direct: nothing behind reacts", "gradient": "gradient × change"}


def beside(result: HeadEffect, look: Look, *, limit: float | None = None) -> go.Figure:
    """Left the direct effect, in the middle the total, right the control: logits of the answer."""

    hover = hovers(result.total.shape, lambda *at: _line(result, *at))
    panels = (
        Panel(_KINDS[result.direct_kind], result.direct, hover),
        Panel("total: what happens", result.total, hover),
        Panel("control, total: random direction", result.control_total, hover),
    )
    return maps(panels, look, title=words(result), unit="logits, kept − ablated", limit=limit)


def _line(result: HeadEffect, layer: int, head: int) -> str:
    repair = result.repair[layer, head]
    made_good = "" if np.isnan(repair) else f"<br>of the direct effect made good {repair:.0%}"
    return (
        f"<b>{site(result, layer, head)}</b><br>direct "
        f"{number(result.direct[layer, head], sign=True)}, total "
        f"{number(result.total[layer, head], sign=True)} logits<br>control, total "
        f"{number(result.control_total[layer, head], sign=True)}{made_good}"
    )


def words(result: HeadEffect) -> str:
    """How far direct and total effects go together, in words."""
    x, y = result.direct.ravel(), result.total.ravel()
    agree = float(np.corrcoef(x, y)[0, 1]) if x.std() > 0 and y.std() > 0 else float("nan")
    repaired = result.repair[np.isfinite(result.repair)]
    median = ""
    if repaired.size:
        median = f"; the median head is made good by {np.median(repaired):.0%}"
    return (
        f"Direct and total effects on {quoted(result.answer)} correlate by {number(agree)}{median}"
    )


def parts(result: HeadEffect, look: Look) -> go.Figure:
    """The score as a running sum: embeddings, then attention and MLP of every layer, then biases.

    Norms are held, so the running sum is not the logit lens, which sizes every layer by itself.
    """
    if result.why_not:
        return _none(result, look)
    n = len(result.attention)
    names = ["embeddings", *(f"L{i} {part}" for i in range(n) for part in ("attention", "MLP"))]
    values = [result.start, *np.stack([result.attention, result.mlp], axis=1).ravel()]
    names, values = [*names, "biases at the end"], [*values, result.constant]
    traces = [
        go.Waterfall(
            x=np.arange(len(values) + 1),
            y=np.array([*values, 0.0], float),
            measure=["relative"] * len(values) + ["total"],
            hovertext=_sums(result, names, values),
            hovertemplate="%{hovertext}<extra></extra>",
            connector={"line": {"color": colour("hairline", look), "width": 1}},
            increasing={"marker": {"color": colour("high", look)}},
            decreasing={"marker": {"color": colour("low", look)}},
            totals={"marker": {"color": colour("control", look)}},
        )
    ]
    every = max(1, (2 * n + 3) // 24)
    at = list(range(0, len(names), every))
    return drawn(
        traces,
        look,
        title=f"{_score(result, first=True)} is {number(result.score)}: what writes it",
        height=HEIGHT,
        margin={"b": 90},
        xaxis={
            "tickmode": "array",
            "tickvals": [*at, len(names)],
            "ticktext": [*(names[i] for i in at), "score"],
            "title": {"text": "written by"},
            "showgrid": False,
        },
        yaxis={"title": {"text": "logits, norms held"}},
    )


def _sums(result: HeadEffect, names: list[str], values: list[float]) -> list[str]:
    lines = []
    for place, (name, value) in enumerate(zip(names, values, strict=True)):
        line = f"<b>{name}</b><br>{number(value, sign=True)} logits"
        if name.endswith("attention"):
            line += _best_heads(result, (place - 1) // 2)
        lines.append(line)
    return [
        *lines,
        f"<b>score</b><br>{number(result.score)}<br>not in the sum: {number(result.remainder)}",
    ]


def _best_heads(result: HeadEffect, layer: int) -> str:
    row = result.attribution[layer]
    best = np.argsort(-np.abs(row))[:3]
    heads = "".join(f"<br>head {int(h)}: {number(row[h], sign=True)}" for h in best)
    return f"{heads}<br>random token, strongest head {number(result.random_attribution[layer])}"


def repaired(result: HeadEffect, look: Look) -> go.Figure:
    """One dot a head: direct effect across, total effect up; on the diagonal nothing reacts."""
    if result.why_not:
        return _none(result, look)
    n_layers, n_heads = result.total.shape
    end = 1.08 * max(largest(result.direct), largest(result.total), LEAST_DIRECT)
    layer = np.repeat(np.arange(n_layers), n_heads)
    dots = go.Scatter(
        x=result.direct.ravel().astype(float),
        y=result.total.ravel().astype(float),
        mode="markers",
        marker=_by_layer(layer, n_layers, look),
        hovertext=hovers(result.total.shape, lambda *at: _line(result, *at)).ravel(),
        hovertemplate="%{hovertext}<extra></extra>",
    )
    controls = go.Scatter(
        x=result.control_direct.ravel().astype(float),
        y=result.control_total.ravel().astype(float),
        mode="markers",
        name="control",
        marker={"color": faint("control", look, 0.5), "size": 5, "symbol": "x"},
        hovertemplate="control<br>direct %{x:.3g}, total %{y:.3g}<extra></extra>",
    )
    line = {"type": "line", "x0": -end, "x1": end, "y0": -end, "y1": end}
    return drawn(
        [controls, dots],
        look,
        title=words(result),
        height=HEIGHT + 40,
        shapes=[{**line, "line": {"color": colour("muted", look), "dash": "dot", "width": 1}}],
        annotations=[note("nothing made good", look, x=end, y=end, xanchor="right", yanchor="top")],
        xaxis={"title": {"text": "direct effect (logits)"}, "range": [-end, end]},
        yaxis={"title": {"text": "total effect (logits)"}, "range": [-end, end]},
    )


def _by_layer(layer: np.ndarray, n_layers: int, look: Look) -> dict[str, Any]:
    return {
        "color": layer,
        "colorscale": UNSIGNED,
        "size": 8,
        "showscale": True,
        "cmin": 0,
        "cmax": max(1, n_layers - 1),
        "line": {"width": 1, "color": colour("muted", look)},
        "colorbar": colour_bar("layer", look),
    }


def _none(result: HeadEffect, look: Look) -> go.Figure:
    """An empty plot that says why there is nothing."""
    place: dict[str, Any] = {"x": 0.5, "y": 0.5, "xref": "paper", "yref": "paper"}
    return drawn(
        [],
        look,
        title="The answer is no sum of what heads write",
        height=160,
        annotations=[note(escaped(result.why_not), look, **place)],
        xaxis={"title": {"text": "written by"}, "visible": False},
        yaxis={"title": {"text": "logits"}, "visible": False},
    )


def _score(result: HeadEffect, *, first: bool = False) -> str:
    other = quoted(result.against) if result.against else "the vocabulary's mean"
    return f"{'The' if first else 'the'} logit of {quoted(result.answer)} over {other}"


def site(result: HeadEffect, layer: int, head: int) -> Site:
    return Site(layer, "head", head, stack=result.stack)
