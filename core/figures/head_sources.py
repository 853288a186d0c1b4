"""One head's sources: attention to each token, and what that token says about the answer."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures import grid
from core.figures.theme import BOTTOM, ROW, TOP, Look, colour, drawn, faint
from core.figures.wording import count, number, quoted, token
from core.results.head_sources import HeadSources

MOST = 40  # tokens drawn: those that say most, in their order


def figure(result: HeadSources, look: Look, *, most: int = MOST) -> go.Figure:
    """A row a source token, the first on top: left attention, right its part of the logit.

    most  how many tokens are drawn; of a longer text those with the largest parts
    """
    shown = _shown(result, most)
    rows = np.arange(len(shown))
    colours = [colour("high" if part > 0 else "low", look) for part in result.attribution[shown]]
    bar: dict[str, Any] = {"orientation": "h", "y": rows, "hovertext": _hover(result, shown)}
    bar["hovertemplate"] = "%{hovertext}<extra></extra>"
    traces = [
        go.Bar(x=_f(result.weight[shown]), marker={"color": colour("weight", look)}, **bar),
        *_control(result, shown, look),
        go.Bar(x=_f(result.attribution[shown]), marker={"color": colours}, xaxis="x2", **bar),
    ]
    names = [f"{token(result.tokens[i], grid.LABEL)} ({i})" for i in shown]
    unit = "part of the logit" if result.kind == "direct" else "slope × value"
    return drawn(
        traces,
        look,
        title=title(result),
        height=TOP + ROW * max(4, len(shown)) + BOTTOM,
        margin={"l": 110, "r": 16},
        barmode="overlay",
        xaxis={"domain": [0, 0.36], "title": {"text": "attention"}, "rangemode": "tozero"},
        xaxis2={"domain": [0.42, 1], "anchor": "y", "title": {"text": unit}},
        yaxis={
            "tickmode": "array",
            "tickvals": rows.tolist(),
            "ticktext": names,
            "range": [len(shown) - 0.5, -0.5],
            "title": {"text": "source token"},
            "showgrid": False,
        },
    )


def title(result: HeadSources) -> str:
    """Which source says most, and how much of the whole, in words."""
    best = int(np.abs(result.attribution).argmax())
    verb = "raises" if result.attribution[best] > 0 else "lowers"
    return (
        f"{result.site} {verb} {quoted(result.answer)} by {number(abs(result.attribution[best]))} "
        f"through {quoted(result.tokens[best])} ({best}); in all {number(result.whole, sign=True)}"
    )


def caption(result: HeadSources) -> str:
    """The control and the sample, in words."""
    other = quoted(result.against) if result.against else "the vocabulary's mean"
    if result.why_not:
        tail = f"slopes, since {result.why_not}; no control"
    else:
        tail = f"control, grey: 95 % of {count(result.n_random, 'random token')} as the answer"
    return (
        f"logit of {quoted(result.answer)} over {other}, norms held; from token {result.position}; "
        f"1 text; not in the parts: {number(result.remainder)}; {tail}"
    )


def _shown(result: HeadSources, most: int) -> np.ndarray:
    seen = np.flatnonzero((result.weight > 0) | (result.attribution != 0))
    order = seen[np.argsort(-np.abs(result.attribution[seen]), kind="stable")][:most]
    return np.sort(order)


def _control(result: HeadSources, shown: np.ndarray, look: Look) -> list[go.Bar]:
    low, high = result.random_low[shown], result.random_high[shown]
    if not np.isfinite(low).any():
        return []
    return [
        go.Bar(
            x=_f(high - low),
            base=_f(low),
            y=np.arange(len(shown)),
            orientation="h",
            xaxis="x2",
            marker={"color": faint("control", look, 0.35)},
            hovertemplate="random tokens: %{base:.3g} and up<extra></extra>",
        )
    ]


def _hover(result: HeadSources, shown: np.ndarray) -> list[str]:
    return [
        f"<b>{token(result.tokens[i])}</b> ({i})<br>attention {number(result.weight[i])}<br>"
        f"writes {number(result.size[i])} stream units<br>says "
        f"{number(result.attribution[i], sign=True)} (random tokens "
        f"{number(result.random_low[i])} to {number(result.random_high[i])})"
        for i in shown
    ]


def _f(values: np.ndarray) -> np.ndarray:
    return np.asarray(values, float)
