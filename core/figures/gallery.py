"""All features of a dictionary: how often each fires and how strongly, beside random directions."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures.theme import Look, drawn, faint, note
from core.figures.wording import count, number
from core.results.gallery import Gallery
from core.spec.errors import Error

HEIGHT = 440
MOST = 20_000  # points of one kind; of more, every n-th by density is drawn
# show: (field, words)
SHOWN = {
    "mean": ("mean_activation", "mean activation where it fires"),
    "max": ("max_activation", "largest activation"),
}


def figure(result: Gallery, look: Look, *, show: str = "mean", raw: bool = False) -> go.Figure:
    """One point per feature that fires, its number as customdata; grey: random directions.

    raw  the dictionary's own units instead of the length a feature writes
    """
    if show not in SHOWN:
        raise Error(f"the figure can show {', '.join(SHOWN)}, not {show[:20]!r}")
    field, words = SHOWN[show]
    own = getattr(result, field)
    scale = np.ones_like(result.lengths) if raw else result.lengths
    traces = [_points(result.density, own * scale, look, "a")]
    if show == "mean":
        control = _points(result.random_density, result.random_mean * scale, look, "control")
        traces.insert(0, control)
    unit = "the dictionary's units" if raw else "length written"
    return drawn(
        traces,
        look,
        title=title(result),
        height=HEIGHT,
        shapes=_regions(result, look),
        annotations=_words(result, look),
        xaxis={
            "title": {"text": "density (share of tokens on which it fires)"},
            "type": "log",
            "range": [np.log10(0.6 / max(1, result.n_tokens)), 0.05],
        },
        yaxis={"title": {"text": f"{words} ({unit})"}, "type": "log"},
    )


def title(result: Gallery) -> str:
    """How many features say nothing, too little or too much."""
    n = len(result.density)
    grown = f", {result.share:.0%} of the text read so far" if result.share < 1 else ""
    live = result.density[result.count > 0]
    middle = number(float(np.median(live)) * 100) if live.size else "0"
    return (
        f"{n:,} features: {result.n_dead:,} never fire, {result.n_rare:,} fewer than "
        f"{result.rare} times, {result.n_dense:,} on more than {result.dense:.0%} of tokens; the "
        f"median of the others fires on {middle} %{grown}"
    )


def caption(result: Gallery) -> str:
    """The control and the sample, in words."""
    more = ", the corpus goes on" if result.cut else ""
    random = result.random_density
    return (
        f"{count(result.n_tokens, 'token')} of {result.corpus} in "
        f"{count(result.n_contexts, 'context')}{more}; {result.mask}; control, grey: the same "
        f"dictionary turned at random, on {count(result.n_random, 'token')}: "
        f"{int((random == 0).sum()):,} of its directions never fire there, "
        f"{int((random > result.dense).sum()):,} on more than {result.dense:.0%}"
    )


def _points(density: np.ndarray, height: np.ndarray, look: Look, role: str) -> go.Scattergl:
    there = np.flatnonzero((density > 0) & np.isfinite(height) & (height > 0))
    if len(there) > MOST:
        order = np.argsort(density[there], kind="stable")
        there = np.sort(there[order[:: -(-len(there) // MOST)]])
    control = role == "control"
    name = "random direction" if control else "feature"
    return go.Scattergl(
        x=density[there].astype(np.float32),
        y=height[there].astype(np.float32),
        customdata=there.astype(np.int32),
        mode="markers",
        marker={"size": 4, "color": faint(role, look, 0.35 if control else 0.6)},
        hovertemplate=name + " %{customdata}<br>density %{x:.3~g}<br>%{y:.3~g}<extra></extra>",
    )


def _edges(result: Gallery) -> tuple[float, float]:
    return result.rare / max(1, result.n_tokens), result.dense


def _regions(result: Gallery, look: Look) -> list[dict[str, Any]]:
    """Shades over the features that fire too seldom and too often to say much."""
    rare, dense = _edges(result)
    fill = {"fillcolor": faint("muted", look, 0.12), "line": {"width": 0}, "layer": "below"}
    across = {"type": "rect", "y0": 0, "y1": 1, "yref": "y domain", **fill}
    low = 0.1 / max(1, result.n_tokens)
    return [{**across, "x0": low, "x1": rare}, {**across, "x0": dense, "x1": 2.0}]


def _words(result: Gallery, look: Look) -> list[dict[str, Any]]:
    rare, dense = _edges(result)
    place: dict[str, Any] = {"y": 1, "yref": "y domain", "yanchor": "top"}
    left = f"rare: {result.n_rare:,}<br>dead, not drawn: {result.n_dead:,}"
    return [
        note(left, look, x=np.log10(rare), xanchor="right", align="right", **place),
        note(f"dense: {result.n_dense:,}", look, x=np.log10(dense), xanchor="left", **place),
    ]
