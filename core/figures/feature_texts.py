"""Features on a text: what fires at each token, how much, and what is left out."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures.theme import MONO, TITLE, UNSIGNED, Look, colour, colour_bar, drawn
from core.figures.wording import count, escaped, number, token
from core.results.feature_texts import FeatureTexts
from core.spec.errors import Error

HEIGHT = 320
ROW = 22
SHOWN = ("features", "error", "heat")
_LABEL = 24


def figure(
    result: FeatureTexts, look: Look, *, show: str = "features", text: int = 0, most: int = 16
) -> go.Figure:
    """One column a token of one text.

    show  "features": the strongest features of the text at every token; "error": what the
          dictionary leaves out, and how many features fire; "heat": the followed features
    most  features drawn
    """
    if show not in SHOWN:
        raise Error(f"the figure can show {', '.join(SHOWN)}, not {show[:20]!r}")
    if not 0 <= text < len(result.tokens):
        raise Error(f"text {text} of {len(result.tokens)} that were read")
    if show == "error":
        return _error(result, look, text)
    if show == "heat":
        if not result.followed:
            raise Error("no feature was followed; ask with feature= for its heat")
        return _map(result, look, text, list(result.followed), result.heat[:, text])
    listed = result.listed[:most].tolist()
    return _map(result, look, text, listed, _grid(result, text, listed))


def title(result: FeatureTexts) -> str:
    """How many features fire, and how much of the state they explain."""
    l0 = result.l0[0][_counted(result, 0)]
    left = float(result.total_error[0])
    if not len(l0):
        return f"{result.dictionary}: the text holds no token that counts"
    return (
        f"{result.dictionary} explains {1 - left:.0%} of {result.site} on this text with "
        f"{number(l0.mean())} features a token"
    )


def caption(result: FeatureTexts) -> str:
    """The control and the sample, in words."""
    n = sum(map(sum, result.counted))
    seen = f"; shares of the largest value in {result.corpus}" if result.corpus else ""
    return (
        f"{count(n, 'token')} (special ones and the first not counted); left out: "
        f"{number(result.total_error[0])} of the distance from the mean of "
        f"{result.n_reference:,} tokens of the reference text; control, the same activations on "
        f"features at random: {number(result.total_random_error[0])}{seen}"
    )


def _counted(result: FeatureTexts, text: int) -> np.ndarray:
    marks = np.zeros(result.l0.shape[1], dtype=bool)
    marks[: len(result.counted[text])] = result.counted[text]
    return marks


def _grid(result: FeatureTexts, text: int, features: list[int]) -> np.ndarray:
    """Values [feature, token] of those among the k strongest of a token; NaN elsewhere."""
    n = len(result.tokens[text])
    found = np.full((len(features), n), np.nan)
    for row, feature in enumerate(features):
        at, rank = np.nonzero(result.feature[text, :n] == feature)
        found[row, at] = result.value[text, at, rank]
    return found


def _names(result: FeatureTexts, features: list[int]) -> list[str]:
    return [f"{feature} {escaped(result.label(feature)[:_LABEL])}".strip() for feature in features]


def _map(
    result: FeatureTexts, look: Look, text: int, features: list[int], values: np.ndarray
) -> go.Figure:
    n = len(result.tokens[text])
    values = values[:, :n]
    end = float(np.nanmax(values)) if np.isfinite(values).any() else 1.0
    names = [token(piece) for piece in result.tokens[text]]
    cells = go.Heatmap(
        z=np.where(values > 0, values, np.nan),
        x=np.arange(n),
        y=np.arange(len(features)),
        colorscale=UNSIGNED,
        zmin=0,
        zmax=end or 1.0,
        xgap=1,
        ygap=1,
        colorbar=colour_bar("written length", look),
        customdata=np.broadcast_to(np.array(features)[:, None], values.shape),
        hovertext=np.broadcast_to(np.array(names)[None], values.shape),
        hovertemplate="feature %{customdata}<br>%{hovertext}, token %{x}<br>value %{z:.3~g}"
        "<extra></extra>",
    )
    return drawn(
        [cells],
        look,
        title=title(result),
        height=TITLE + 110 + ROW * max(1, len(features)),
        xaxis=_tokens(names),
        yaxis={
            "title": {"text": "feature"},
            "tickmode": "array",
            "tickvals": list(range(len(features))),
            "ticktext": _names(result, features),
            "range": [len(features) - 0.5, -0.5],
            "showgrid": False,
        },
    )


def _tokens(names: list[str]) -> dict[str, Any]:
    step = max(1, len(names) // 48)
    return {
        "title": {"text": "token"},
        "tickmode": "array",
        "tickvals": list(range(0, len(names), step)),
        "ticktext": [name[:12] for name in names[::step]],
        "tickfont": {"family": MONO, "size": 11},
        "tickangle": -60,
        "showgrid": False,
    }


def _error(result: FeatureTexts, look: Look, text: int) -> go.Figure:
    n = len(result.tokens[text])
    names = [token(piece) for piece in result.tokens[text]]
    error, random, l0 = (part[text, :n] for part in (result.error, result.random_error, result.l0))
    counted = _counted(result, text)[:n]
    bars = go.Bar(
        x=np.arange(n),
        y=error,
        marker={"color": np.where(counted, colour("a", look), colour("muted", look)).tolist()},
        hovertext=names,
        customdata=l0,
        hovertemplate="%{hovertext}, token %{x}<br>left out %{y:.3~g}<br>%{customdata} features"
        "<extra></extra>",
    )
    control = go.Scatter(
        x=np.arange(n),
        y=random,
        mode="lines",
        line={"color": colour("control", look), "dash": "dash", "width": 1.5},
        hovertemplate="%{y:.3~g}<extra>control</extra>",
    )
    # A control far above the bars (or a first token unlike all others) must not flatten them.
    shown = error[counted] if counted.any() else error
    end = max(1.1, 1.15 * float(np.nanmax(shown))) if len(shown) else 1.1
    return drawn(
        [bars, control],
        look,
        title=title(result),
        height=HEIGHT,
        bargap=0.2,
        xaxis=_tokens(names),
        yaxis={"title": {"text": "left out (1: no better than the mean)"}, "range": [0, end]},
    )
