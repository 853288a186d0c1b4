"""Which features made the prediction: a sum in bars, the same by token, and the check."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures import grid
from core.figures.theme import BOTTOM, ROW, TOP, Look, colour, colour_bar, drawn, faint, signed
from core.figures.wording import count, number, quoted, token
from core.results.feature_attribution import FeatureAttribution
from core.spec.errors import Error

VIEWS = ("sum", "tokens", "check")
MOST_TOKENS = 40


def figure(result: FeatureAttribution, look: Look, *, view: str = "sum") -> go.Figure:
    """view "sum": what every listed feature adds, then the others, error, bias and rest.

    "tokens": the same by token. "check": predicted against what ablation does.
    """
    draw = {"sum": _sum, "tokens": _tokens, "check": _check}
    if view not in draw:
        raise Error(f"an attribution is drawn as {', '.join(VIEWS)}, not {view[:20]!r}")
    return draw[view](result, look)


def title(result: FeatureAttribution) -> str:
    """The strongest feature and how the sum was checked, in words."""
    if not len(result.verified):
        return f"{result.dictionary}: no feature is active on the text"
    best = result.verified[0]
    verb = "raises" if result.predicted[0] > 0 else "lowers"
    return (
        f"Feature {best} of {result.dictionary} {verb} {quoted(result.answer)} by "
        f"{number(abs(result.predicted[0]))}; correlation with ablation "
        f"{number(result.correlation)}"
    )


def caption(result: FeatureAttribution) -> str:
    """The score, the control and the sample, in words."""
    if result.measure == "log p":
        score = f"log p of {quoted(result.answer)}, nats"
    else:
        other = quoted(result.against) if result.against else "the vocabulary's mean"
        score = f"logit of {quoted(result.answer)} over {other}"
    way = "one slope" if result.n_points == 1 else f"mean of {result.n_points} slopes"
    base = "features of the base text" if result.base else "no feature"
    largest = float(np.abs(result.predicted).max()) if len(result.predicted) else 0.0
    return (
        f"{score} at token {result.position}; {way}, compared with {base} (then the score is "
        f"{number(result.without)}); control: with random decoder rows the largest is "
        f"{number(result.random_largest)} (mean of {result.n_random}), here {number(largest)}; "
        f"{count(result.n_active, 'feature')} active on {count(sum(result.counted), 'token')}, "
        f"{len(result.verified)} taken out"
    )


def _sum(result: FeatureAttribution, look: Look) -> go.Figure:
    total = result.total
    names = [f"feature {one}" for one in result.feature]
    names += ["other features", "error term", "biases", "rest"]
    values = [*total, result.others, result.error.sum(), result.bias.sum(), result.rest]
    n = len(total)
    colours = [colour("high" if value > 0 else "low", look) for value in values[:n]]
    colours += [colour("control", look)] * (len(values) - n)
    rows = np.arange(len(values))
    bar = go.Bar(
        x=np.asarray(values, float),
        y=rows,
        orientation="h",
        marker={"color": colours},
        hovertext=[_hover(result, place, name, values[place]) for place, name in enumerate(names)],
        hovertemplate="%{hovertext}<extra></extra>",
    )
    band = result.random_largest
    shapes = []
    if np.isfinite(band):
        wide = {"x0": -band, "x1": band, "y0": -0.5, "y1": n - 0.5}
        fill = {"fillcolor": faint("control", look, 0.2), "line": {"width": 0}, "layer": "below"}
        shapes.append({"type": "rect", **wide, **fill})
    unit = "nats" if result.measure == "log p" else "logit"
    return drawn(
        [bar],
        look,
        title=title(result),
        height=TOP + ROW * max(4, len(values)) + BOTTOM,
        margin={"l": 120, "r": 16},
        shapes=shapes,
        xaxis={"title": {"text": f"adds to the score ({unit})"}},
        yaxis={
            "tickmode": "array",
            "tickvals": rows.tolist(),
            "ticktext": names,
            "range": [len(values) - 0.5, -0.5],
            "title": {"text": "part"},
            "showgrid": False,
        },
    )


def _hover(result: FeatureAttribution, place: int, name: str, value: float) -> str:
    lines = [f"<b>{name}</b>", f"{number(value, sign=True)} of {number(result.value)}"]
    if place < len(result.feature):
        own = result.attribution[place]
        for at in np.argsort(-np.abs(own), kind="stable")[:3]:
            if own[at]:
                lines.append(
                    f"{token(result.tokens[at])} ({at}): {number(own[at], sign=True)}, active "
                    f"{number(result.activation[place, at])}"
                )
    return "<br>".join(lines)


def _tokens(result: FeatureAttribution, look: Look) -> go.Figure:
    """Features by token; of a long text the tokens with the largest parts."""
    size = np.abs(result.attribution).sum(axis=0)
    shown = np.sort(np.argsort(-size, kind="stable")[:MOST_TOKENS])
    values = result.attribution[:, shown]
    most = float(np.abs(values).max()) if values.size else 1.0
    names = [f"{token(result.tokens[at], grid.LABEL)} ({at})" for at in shown]
    rows = [str(one) for one in result.feature]
    heat = go.Heatmap(
        z=np.asarray(values, float),
        zmin=-most,
        zmax=most,
        colorscale=signed(look),
        colorbar=colour_bar("adds to the score", look),
        customdata=np.asarray(result.activation[:, shown], float),
        hovertemplate="feature %{y}<br>%{x}<br>adds %{z:+.3g}<br>active %{customdata:.3g}"
        "<extra></extra>",
    )
    return drawn(
        [heat],
        look,
        title=title(result),
        height=TOP + ROW * max(4, len(rows)) + BOTTOM + 50,
        xaxis={
            "title": {"text": "token"},
            "tickmode": "array",
            "tickvals": list(range(len(names))),
            "ticktext": names,
            "tickangle": -45,
            "showgrid": False,
        },
        yaxis={
            "title": {"text": "feature"},
            "tickmode": "array",
            "tickvals": list(range(len(rows))),
            "ticktext": rows,
            "autorange": "reversed",
            "showgrid": False,
        },
    )


def _check(result: FeatureAttribution, look: Look) -> go.Figure:
    def dots(y: np.ndarray, name: str, role: str, symbol: str) -> go.Scatter:
        return go.Scatter(
            x=np.asarray(result.predicted, float),
            y=np.asarray(y, float),
            mode="markers",
            name=name,
            marker={"color": colour(role, look), "size": 9, "symbol": symbol},
            customdata=result.verified.tolist(),
            hovertemplate="feature %{customdata}<br>predicted %{x:+.3g}<br>lost %{y:+.3g}"
            f"<extra>{name}</extra>",
        )

    ends = [result.predicted, result.ablated, result.random_ablated, np.zeros(1)]
    low, high = (float(f(np.concatenate(ends))) for f in (np.min, np.max))
    line: dict[str, Any] = {"color": colour("hairline", look), "width": 1.5}
    same = go.Scatter(
        x=np.array([low, high]), y=np.array([low, high]), mode="lines", line=line,
        showlegend=False, hoverinfo="skip",
    )  # fmt: skip
    return drawn(
        [
            same,
            dots(result.random_ablated, "random", "control", "x"),
            dots(result.ablated, "ablated", "a", "circle"),
        ],
        look,
        title=title(result),
        height=360,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 90},
        xaxis={"title": {"text": "predicted by the sum"}},
        yaxis={"title": {"text": "lost when taken out"}},
    )
