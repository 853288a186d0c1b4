"""How much a corpus needs each head: the estimate beside its control, and the exact check."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures.head_maps import Panel, hovers, maps
from core.figures.theme import Look, colour, drawn, note
from core.figures.wording import count, number
from core.results.head_importance import LEAST_AGREEMENT, HeadImportance
from core.spec.errors import Error

VIEWS = ("map", "check")
HEIGHT = 380
UNRELIABLE = "estimate unreliable"


def figure(
    result: HeadImportance, look: Look, *, view: str = "map", limit: float | None = None
) -> go.Figure:
    """view "map": estimate and control, layer by head; "check": estimate against exact effect.

    limit  the |nats per token| of full colour, when several maps stand side by side
    """
    if view not in VIEWS:
        raise Error(f"importance is drawn as {', '.join(VIEWS)}, not {view[:20]!r}")
    return _check(result, look) if view == "check" else _map(result, look, limit)


def title(result: HeadImportance) -> str:
    """The head that the corpus needs most, and how far the estimate can be trusted, in words."""
    layer, head = np.unravel_index(int(result.estimate.argmax()), result.estimate.shape)
    return (
        f"L{layer}.head[{head}] matters most: about {number(result.estimate[layer, head])} nats "
        f"per token (control {number(result.control[layer, head])}); {_trust(result)}"
    )


def caption(result: HeadImportance) -> str:
    """The control and the sample, in words."""
    size = number(float(np.abs(result.control).mean()))
    sample = f"{count(result.n_texts, 'text')}, {count(result.n_tokens, 'token')}"
    return (
        f"{result.corpus}: {sample}, loss {number(result.loss)}; ablated to {result.to}; estimated "
        f"in {1 + result.n_samples} passes back; control, a random direction inside another head, "
        f"{size} nats on average (mean of {result.n_controls}); {_trust(result)}"
    )


def _trust(result: HeadImportance) -> str:
    if np.isnan(result.spearman):
        return f"{len(result.exact)} heads checked, too few to tell whether the estimate holds"
    words = f"Spearman with {len(result.exact)} exact effects {number(result.spearman)}"
    return words if result.reliable else f"{words}: {UNRELIABLE}"


def _map(result: HeadImportance, look: Look, limit: float | None) -> go.Figure:
    shape = result.estimate.shape
    exact = np.full(shape, np.nan)
    exact[result.layer, result.head] = result.exact

    def line(layer: int, head: int) -> str:
        truly = number(exact[layer, head], sign=True)
        return (
            f"<b>L{layer}.head[{head}]</b><br>estimate "
            f"{number(result.estimate[layer, head], sign=True)} nats per token<br>first order "
            f"{number(result.first[layer, head], sign=True)}, second "
            f"{number(result.second[layer, head], sign=True)}<br>exact "
            f"{'not asked' if np.isnan(exact[layer, head]) else truly}<br>control "
            f"{number(result.control[layer, head], sign=True)}"
        )

    hover = hovers(shape, line)
    warn = f" ({UNRELIABLE})" if result.spearman < LEAST_AGREEMENT else ""
    panels = (
        Panel(f"estimate{warn}", result.estimate, hover),
        Panel("control: random direction", result.control, hover),
    )
    return maps(panels, look, title=title(result), unit="loss, ablated − kept (nats)", limit=limit)


def _check(result: HeadImportance, look: Look) -> go.Figure:
    x = result.estimate[result.layer, result.head]
    both = np.concatenate([x, result.exact, [0.0]])
    low, high = float(both.min()), float(both.max())
    pad = 0.08 * max(high - low, 1e-6)
    ends = [low - pad, high + pad]
    line = {"type": "line", "x0": ends[0], "x1": ends[1], "y0": ends[0], "y1": ends[1]}
    level = {"color": colour("muted", look), "dash": "dot", "width": 1}
    place: dict[str, Any] = {"x": ends[1], "y": ends[1], "xanchor": "right", "yanchor": "top"}
    top = result.top.astype(bool)
    return drawn(
        [
            _dots(result, x, ~top, look, "control", "random heads", "circle-open"),
            _dots(result, x, top, look, "a", "largest estimates", "circle"),
        ],
        look,
        title=f"{_trust(result)} (at least {LEAST_AGREEMENT} to be relied on)",
        height=HEIGHT,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 76, "r": 16},
        shapes=[{**line, "line": level}],
        annotations=[note("estimate is exact", look, **place)],
        xaxis={"title": {"text": "estimate (nats per token)"}, "range": ends},
        yaxis={"title": {"text": "exact (nats per token)"}, "range": ends},
    )


def _dots(
    result: HeadImportance,
    x: np.ndarray,
    which: np.ndarray,
    look: Look,
    role: str,
    name: str,
    symbol: str,
) -> go.Scatter:
    hover = [
        f"<b>L{layer}.head[{head}]</b><br>estimate {number(x[at], sign=True)}<br>exact "
        f"{number(result.exact[at], sign=True)} ± {number(result.exact_error[at])}<br>KL "
        f"{number(result.exact_kl[at])}<br>control {number(result.exact_control[at], sign=True)}"
        for at, (layer, head) in enumerate(zip(result.layer, result.head, strict=True))
        if which[at]
    ]
    own = colour(role, look)
    return go.Scatter(
        x=x[which].astype(float),
        y=result.exact[which].astype(float),
        mode="markers",
        name=name,
        marker={"color": own, "size": 9, "symbol": symbol},
        error_y={"array": np.nan_to_num(result.exact_error[which]), "color": own, "width": 3},
        hovertext=hover,
        hovertemplate="%{hovertext}<extra></extra>",
    )
