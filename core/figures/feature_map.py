"""The map of features: a point each, coloured by group, density or label."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures.groups import hue, symbol
from core.figures.theme import UNSIGNED, Look, colour, colour_bar, drawn
from core.figures.wording import count, escaped, number, token, visible
from core.results.feature_map import FeatureMap
from core.spec.errors import Error

HEIGHT = 560
WORDS = {
    "decoder": "what they write",
    "encoder": "what they read",
    "cofiring": "firing on the same tokens",
}
SHOWN = ("group", "density", "label")


def figure(result: FeatureMap, look: Look, *, show: str = "group", selected: int = -1) -> go.Figure:
    """Points with their feature as customdata, for clicks and the lasso.

    show      the colour: "group", "density" (logarithmic) or "label" (its first part)
    selected  a feature marked with a ring
    """
    if show not in SHOWN:
        raise Error(f"the colour can be {', '.join(SHOWN)}, not {show[:20]!r}")
    size = 7 if len(result.x) < 3_000 else 4
    marker = {"size": size, "opacity": 0.85, **_colours(result, look, show)}
    points = go.Scattergl(
        x=result.x,
        y=result.y,
        mode="markers",
        marker=marker,
        customdata=result.feature,
        hovertext=_hover(result),
        hovertemplate="%{hovertext}<extra></extra>",
    )
    traces: list[Any] = [points]
    here = np.flatnonzero(result.feature == selected)
    if len(here):
        ring = {"size": size + 9, "symbol": "circle-open", "color": colour("text", look)}
        traces.append(
            go.Scatter(
                x=result.x[here],
                y=result.y[here],
                mode="markers",
                marker={**ring, "line": {"width": 2}},
                hoverinfo="skip",
            )
        )
    plain = {"showgrid": False, "showticklabels": False}
    return drawn(
        traces,
        look,
        title=title(result),
        height=HEIGHT,
        dragmode="lasso",
        xaxis={"title": {"text": "first direction of the picture (no unit)"}, **plain},
        yaxis={"title": {"text": "second direction (no unit)"}, **plain},
    )


def title(result: FeatureMap) -> str:
    """What is drawn and how far to trust it."""
    drawn_ones = f"{len(result.x):,} of {result.n_features:,}"
    if len(result.x) == result.n_features:
        drawn_ones = f"{result.n_features:,}"
    rows = WORDS[result.by]
    return (
        f"{result.dictionary}: {drawn_ones} features by {rows}, trustworthiness "
        f"{number(result.trust[0])}"
    )


def caption(result: FeatureMap) -> str:
    """The controls and what a distance means, in words."""
    own, plain, chance = (number(value) for value in result.trust)
    groups = count(int(result.group.max()) + 1 if len(result.group) else 0, "group")
    other = "" if result.by == "cofiring" else ", and none is similarity of firing"
    within, random = number(result.group_cosine), number(result.random_group_cosine)
    return (
        f"trustworthiness {own} ({result.n_neighbours} neighbours); two principal components "
        f"{plain}; control, random places: {chance}; {result.kept:.0%} of the true neighbours are "
        f"neighbours here; distances beyond neighbours say nothing{other}; {groups} by k-means, "
        f"cosine within {within}, of random vectors {random}"
    )


def _colours(result: FeatureMap, look: Look, show: str) -> dict[str, Any]:
    if show == "density":
        known = np.nan_to_num(result.density) > 0
        values = np.full(len(result.x), np.nan)
        values[known] = np.log10(result.density[known])
        bar = colour_bar("log10 of the share of tokens", look)
        grey = {"color": colour("control", look)}
        return {"color": values, "colorscale": UNSIGNED, "colorbar": bar} if known.any() else grey
    number_ = result.group if show == "group" else result.family
    hues = [hue(one) for one in number_.tolist()]
    symbols = [symbol(one) for one in number_.tolist()]
    if show == "label":
        plain = colour("control", look)
        hues = [own if one else plain for own, one in zip(hues, number_.tolist(), strict=True)]
    return {"color": hues, "symbol": symbols}


def _hover(result: FeatureMap) -> list[str]:
    labels = dict(result.named)
    lines = []
    for place, feature in enumerate(result.feature.tolist()):
        parts = [f"feature {feature}"]
        if feature in labels:
            parts.append(escaped(visible(labels[feature], 40)))
        group = int(result.group[place])
        words = result.group_tokens[group] if group < len(result.group_tokens) else ()
        parts.append(f"group {group} {', '.join(token(word, 10) for word in words)}".strip())
        near = zip(result.near[place].tolist(), result.near_cosine[place].tolist(), strict=True)
        parts.append("nearest " + ", ".join(f"{one} ({number(c)})" for one, c in near))
        lines.append("<br>".join(parts))
    return lines
