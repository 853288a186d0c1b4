"""What a feature does to next tokens: bars beside controls, or each token against the lens."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures.theme import BOTTOM, MONO, TOP, Look, colour, drawn, note
from core.figures.wording import count, number, quoted, token
from core.results.feature_effect import CONDITIONS, FeatureEffect
from core.spec.errors import Error

ROW = 18  # pixels of a bar
HEIGHT = 340
SHOWN = (*CONDITIONS, "direct")


def figure(result: FeatureEffect, look: Look, *, show: str = "added", most: int = 10) -> go.Figure:
    """Above the tokens that become likelier, below those that become less likely.

    show  "added", "ablated"; "direct": the lens's first tokens, score against change when added
    most  tokens drawn at each end
    """
    if show not in SHOWN:
        raise Error(f"the figure can show {', '.join(SHOWN)}, not {show[:20]!r}")
    if show == "direct":
        return _direct(result, look)
    return _bars(result, look, CONDITIONS.index(show), most)


def title(result: FeatureEffect) -> str:
    """The first token that adding the feature raises, and whether the lens foretold it."""
    rank = int(result.top_rank[0, 0])
    told = f"; the lens has it at place {rank:,}" if rank else ""
    return (
        f"{result.site} added: {quoted(*result.read(result.top_ids[0, :1]))} "
        f"{number(float(result.top_change[0, 0]), sign=True)} nats (control "
        f"{number(float(result.top_control[0, 0]), sign=True)}){told}"
    )


def caption(result: FeatureEffect) -> str:
    """The controls, the sample and the agreement, in words."""
    tokens, texts = result.n_tokens.tolist(), result.n_contexts.tolist()
    n = count(result.n_controls, "random direction")
    words = (
        f"mean change of log p; added: {number(result.times)} × its largest activation, "
        f"{number(result.length / max(result.stream, 1e-30))} of the mean length there, "
        f"{count(tokens[0], 'token')} of {count(texts[0], 'context')}; ablated where it fires, "
        f"{count(tokens[1], 'token')} of {count(texts[1], 'context')}; control, {n} as long, "
        f"largest change {number(float(result.control_largest[0].max()))} nats"
    )
    if result.why_no_lens:
        return words
    return f"{words}; {_agreement(result, 0)}"


def _agreement(result: FeatureEffect, row: int) -> str:
    chance = result.control_agreement[row]
    return (
        f"Spearman with the lens over its first {result.n_agreement} tokens "
        f"{number(float(result.agreement[row]))} (controls {number(float(chance.min()))} to "
        f"{number(float(chance.max()))})"
    )


def _bars(result: FeatureEffect, look: Look, row: int, most: int) -> go.Figure:
    if not result.n_tokens[row]:
        raise Error(f"{result.site} fires in none of the contexts, so nothing was ablated")
    k = min(most, result.top_ids.shape[1])
    places = (np.arange(2 * k, k, -1), np.arange(k))
    traces: list[Any] = []
    for end, role, at in zip(("top", "bottom"), ("high", "low"), places, strict=True):
        traces += _end(result, look, row, k, end, role, at)
    return drawn(
        traces,
        look,
        title=title(result),
        height=TOP + (2 * k + 1) * ROW + BOTTOM,
        bargap=0.25,
        xaxis={"title": {"text": "mean change of log p (nats)"}, "zeroline": True},
        yaxis=_labels(result, row, k, places),
    )


def _end(
    result: FeatureEffect, look: Look, row: int, k: int, end: str, role: str, at: np.ndarray
) -> list[Any]:
    ids, change, error, chance, rank = (
        getattr(result, f"{end}_{kind}")[row, :k]
        for kind in ("ids", "change", "error", "control", "rank")
    )
    told = [f"place {place:,} in the lens" if place else "no lens" for place in rank.tolist()]
    bars = go.Bar(
        x=change,
        y=at,
        orientation="h",
        marker={"color": colour(role, look)},
        error_x={"type": "data", "array": error, "thickness": 1, "width": 2},
        customdata=np.array(list(zip(chance.tolist(), told, strict=True)), dtype=object),
        hovertext=[token(piece) for piece in result.read(ids)],
        hovertemplate="%{hovertext}<br>%{x:+.3g} nats<br>control %{customdata[0]:+.3g}"
        "<br>%{customdata[1]}<extra></extra>",
    )
    dots = go.Scatter(
        x=chance,
        y=at,
        mode="markers",
        marker={"size": 6, "color": colour("control", look), "symbol": "circle-open"},
        hovertemplate="control, mean %{x:+.3g} nats<extra></extra>",
    )
    return [bars, dots]


def _labels(
    result: FeatureEffect, row: int, k: int, places: tuple[np.ndarray, np.ndarray]
) -> dict[str, Any]:
    ids = (result.top_ids[row, :k], result.bottom_ids[row, :k])
    pieces = [piece for part in ids for piece in result.read(part)]
    return {
        "title": {"text": "token"},
        "tickmode": "array",
        "tickvals": np.concatenate(places).tolist(),
        "ticktext": [token(piece, 12) for piece in pieces],
        "tickfont": {"family": MONO, "size": 12},
        "range": [-0.7, 2 * k + 0.7],
        "showgrid": False,
    }


def _direct(result: FeatureEffect, look: Look) -> go.Figure:
    if result.why_no_lens:
        raise Error(result.why_no_lens)
    parts = (
        ("control, mean", result.direct_control[0], "control", "circle-open"),
        ("feature", result.direct_change[0], "clamped", "circle"),
    )
    words = [token(piece) for piece in result.read(result.direct_ids)]
    traces = [
        go.Scatter(
            x=result.direct_score,
            y=change,
            name=name,
            mode="markers",
            marker={"size": 7, "color": colour(role, look), "symbol": symbol},
            hovertext=words,
            hovertemplate="%{hovertext}<br>score %{x:.3~g}<br>%{y:+.3g} nats<extra></extra>",
        )
        for name, change, role, symbol in parts
    ]
    place: dict[str, Any] = {"x": 1, "xref": "x domain", "y": 1, "yref": "y domain"}
    return drawn(
        traces,
        look,
        title=title(result),
        height=HEIGHT,
        showlegend=True,
        annotations=[note(_agreement(result, 0), look, xanchor="right", yanchor="top", **place)],
        xaxis={"title": {"text": "lens: logit per unit of written length"}},
        yaxis={"title": {"text": "mean change of log p (nats)"}, "zeroline": True},
    )
