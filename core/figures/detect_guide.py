"""Reading against guiding: does the best detector move what the model writes?"""

import numpy as np
import plotly.graph_objects as go

from core.figures.lines import band, curve
from core.figures.probe_family import NAMES
from core.figures.theme import Look, colour, drawn, note
from core.figures.wording import count, escaped, number, readable
from core.results.detect_guide import DetectGuide
from core.spec.errors import Error

VIEWS = ("both", "layers")
_ROLES = ("a", "b", "c", "clamped")
_SYMBOLS = ("circle", "square", "diamond", "triangle-up")


def figure(result: DetectGuide, look: Look, *, view: str = "both") -> go.Figure:
    """view  "both": detection across, guidance up, a point for each probe and layer; "layers":
    guidance by layer. Grey: where random directions lie.
    """
    if view not in VIEWS:
        raise Error(f"the figure can show {', '.join(VIEWS)}, not {view[:20]!r}")
    return _both(result, look) if view == "both" else _layers(result, look)


def title(result: DetectGuide) -> str:
    """The best detector and the best guide, in words."""
    name = readable(result.concept)[:60]
    method, layer = result.best_detector
    read = f"{NAMES[result.methods[method]]} at L{result.layer[layer]}"
    effect = number(result.pnes[method, layer])
    said = (
        f"{name}: {read} reads it best (AUC {number(result.auc[method, layer])}, effect {effect})"
    )
    guide = result.best_guide
    if result.towards[guide] <= 0 or result.pnes[guide] <= result.chance:
        return f"{said}; no direction guides beyond random ones ({number(result.chance)})"
    if guide == result.best_detector:
        return f"{said}; it guides best too (random {number(result.chance)})"
    best = f"{NAMES[result.methods[guide[0]]]} at L{result.layer[guide[1]]}"
    return (
        f"{said}; {best} guides best (effect {number(result.pnes[guide])}, AUC "
        f"{number(result.auc[guide])}; random {number(result.chance)})"
    )


def caption(result: DetectGuide) -> str:
    """The measure, the controls and the sample, in words."""
    known = result.judge_separation[np.isfinite(result.judge_separation)]
    who = f" (held-out AUC {number(known.min())})" if len(known) else ""
    return "; ".join(
        [
            f"effect: range of the concept's rate over perplexity for pushes of "
            f"{', '.join(number(a) for a in result.alpha)} mean lengths; judged by {result.judge}"
            f"{who} on {count(len(result.prompts), 'prompt')} of {result.new_tokens} new tokens",
            f"control: {result.n_random} random directions a layer, 95 % below "
            f"{number(result.chance)}; rank correlation of both "
            f"{number(result.rho[0])} over {count(result.auc.size, 'direction')} (shuffled cells "
            f"reach it in {result.rho_p[0]:.0%})",
            f"{count(result.n_texts, 'text')}, {result.n_positive} {result.positive}, "
            f"{count(result.n_groups, 'group')} in {result.n_folds} folds; seed {result.seed}",
            *result.notes,
        ]
    )


def _hover(result: DetectGuide, method: int, layer: int) -> str:
    last = int(result.alpha.argmax())
    sign = "" if result.towards[method, layer] > 0 else "<br>a positive push lowers the rate"
    return (
        f"<b>{NAMES[result.methods[method]]} at L{result.layer[layer]}</b>"
        f"<br>AUC {number(result.auc[method, layer])}, effect {number(result.pnes[method, layer])}"
        f" (random {number(result.control_pnes[:, layer].mean())}){sign}"
        f"<br>rate {number(result.base[layer])} → {number(result.rate[method, layer, last])} at "
        f"{result.alpha[last]:g}, perplexity × {number(result.ratio[method, layer, last])}"
        f"<br>{escaped(result.texts[method][layer][last][:80])}"
    )


def _both(result: DetectGuide, look: Look) -> go.Figure:
    traces: list[go.Scatter] = [
        go.Scatter(
            x=result.random_auc.ravel(), y=result.control_pnes.ravel(), mode="markers",
            name="random directions", marker={"color": colour("control", look), "symbol": "x"},
            hovertemplate="random direction<br>AUC %{x:.3~f}, effect %{y:.3~f}<extra></extra>",
        )
    ]  # fmt: skip
    for method, name in enumerate(result.methods):
        own = colour(_ROLES[method % 4], look)
        hover = [_hover(result, method, layer) for layer in range(len(result.layer))]
        traces.append(
            go.Scatter(
                x=result.auc[method], y=result.pnes[method], mode="markers+text", name=NAMES[name],
                text=[f"L{layer}" for layer in result.layer], textposition="top center",
                textfont={"size": 11, "color": own},
                marker={"color": own, "size": 10, "symbol": _SYMBOLS[method % 4]},
                hovertext=hover, hovertemplate="%{hovertext}<extra></extra>",
            )
        )  # fmt: skip
    most = 1.15 * max(float(result.pnes.max()), float(result.control_pnes.max()), 0.05)
    line = {"color": colour("muted", look), "width": 1.5, "dash": "dot"}
    return drawn(
        traces,
        look,
        title=title(result),
        height=420,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 118},
        shapes=[{"type": "line", "layer": "below", "line": line, "x0": 0, "x1": 1,
                 "xref": "x domain", "y0": result.chance, "y1": result.chance, "yref": "y"}],
        annotations=[
            note(f"1 of 20 random directions {number(result.chance)}", look, x=0, xref="x domain",
                 y=result.chance, yref="y", xanchor="left", yanchor="bottom")
        ],
        xaxis={"title": {"text": "detection: held-out AUC"},
               "range": [min(0.45, float(result.auc.min()) - 0.03), 1.03]},
        yaxis={"title": {"text": "guidance: effect over perplexity"}, "range": [0, most]},
    )  # fmt: skip


def _layers(result: DetectGuide, look: Look) -> go.Figure:
    x, control = result.layer.astype(float), result.control_pnes
    traces = band(x, control.min(axis=0), control.max(axis=0), look, role="control", alpha=0.3)
    traces[-1].update(name="random directions", showlegend=True)
    for method, name in enumerate(result.methods):
        line = curve(
            x, result.pnes[method], look, role=_ROLES[method % 4], name=NAMES[name],
            symbol=_SYMBOLS[method % 4],
        )  # fmt: skip
        line.hovertext = [_hover(result, method, layer) for layer in range(len(x))]
        line.hovertemplate = "%{hovertext}<extra></extra>"
        traces.append(line)
    return drawn(
        traces,
        look,
        title=f"{escaped(result.concept)}: how far each direction guides, by layer",
        height=380,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 84},
        xaxis={"title": {"text": "layer pushed"}, "tickmode": "array",
               "tickvals": x, "ticktext": [f"L{int(layer)}" for layer in x]},
        yaxis={"title": {"text": "guidance: effect over perplexity"}, "rangemode": "tozero"},
    )  # fmt: skip
