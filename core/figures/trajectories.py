"""Paths of tokens through the layers: in a plane, towards a token, and step by step."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures import grid, lines
from core.figures.theme import (
    BOTTOM,
    TOP,
    UNSIGNED,
    Look,
    colour,
    colour_bar,
    drawn,
    faint,
    rounded_up,
    signed,
)
from core.figures.wording import count, escaped, number, quoted, token
from core.results.trajectories import Trajectories
from core.spec.errors import Error

VIEWS = ("plane", "tokens", "end", "steps", "turns", "shares", "straight")
HEIGHT = 500
_HUES = (
    *("#4e79a7", "#e8812b", "#d35759", "#5fa8a3", "#59a14f", "#c9a227", "#a0699c", "#e5808e"),
    *("#9c755f", "#3b8bc2", "#7d8f2f", "#c06bd6"),
)
_DASHES = ("solid", "dash", "dot", "dashdot")
MOST_LINES = 16


def figure(result: Trajectories, look: Look, *, view: str = "plane") -> go.Figure:
    """Paths in one of several ways.

    view  "plane": directions of the states, grey a path of random steps; "tokens": from the token
          that stands there to the one foretold; "end": how early the last state is approached;
          "steps", "turns", "shares": layer by path; "straight": how direct the way is
    """
    if view not in VIEWS:
        raise Error(f"the figure can show {', '.join(VIEWS)}, not {view[:20]!r}")
    if view == "tokens" and np.isnan(result.to_output).all():
        raise Error("no token is foretold along these paths; look at the plane instead")
    draw = {
        "plane": _plane,
        "tokens": _tokens,
        "end": _end,
        "steps": _steps,
        "turns": _turns,
        "shares": _shares,
        "straight": _straight,
    }
    return draw[view](result, look)


def title(result: Trajectories) -> str:
    """How straight the paths are beside random directions, in words."""
    own, chance = result.straight.mean(), result.random_straight[:, 1].mean()
    more = "straighter" if own > chance else "no straighter"
    turn = np.nanmean(result.turn) if np.isfinite(result.turn).any() else np.nan
    return (
        f"{count(len(result.tokens), 'path')} of {count(result.step.shape[1], 'step')}, {more} "
        f"than steps in random directions: {number(own)} against {number(chance)}; neighbouring "
        f"steps have cosine {number(turn)}"
    )


def caption(result: Trajectories) -> str:
    """Controls and sample, in words."""
    fresh = result.fresh_straight
    words = "" if np.isnan(fresh).all() else f", fresh weights {number(fresh.mean())}"
    notes = "".join(f"; {one}" for one in result.notes)
    grown = np.median(result.norm[:, -1] / np.maximum(result.norm[:, 0], 1e-30))
    order = np.nanmean(result.order_turn) if np.isfinite(result.order_turn).any() else np.nan
    return (
        f"straightness: distance from start to end / length of the way; control, "
        f"{count(result.n_random, 'path')} of random directions each: "
        f"{number(result.random_straight[:, 0].min())} to "
        f"{number(result.random_straight[:, 2].max())}{words}; steps in random order turn by "
        f"cosine {number(order)}; states grow {number(grown)} times in length (median), so "
        f"directions are drawn; {count(len(result.texts), 'text')}; seed {result.seed}{notes}"
    )


def _name(result: Trajectories, at: int, most: int = grid.LABEL) -> str:
    """The token with what tells it from the others: its text, or its place."""
    place = result.position[at] if len(result.texts) == 1 else result.of_text[at] + 1
    shown = token(result.tokens[at], most)
    return f"{shown} ({place})" if len(result.texts) == 1 else f"{place}: {shown}"


def _hover(result: Trajectories, at: int, point: int) -> str:
    foretold = f"<br>foretold {escaped(quoted(result.outputs[at]))}" if result.outputs[at] else ""
    return (
        f"<b>{token(result.tokens[at])}</b> in …{token(result.contexts[at], 60)}<br>"
        f"{escaped(result.sites[point])}: length {number(result.norm[at, point])}, cosine with "
        f"the end {number(result.to_end[at, point])}<br>with its own embedding "
        f"{number(result.to_input[at, point])}, with what is foretold "
        f"{number(result.to_output[at, point])}{foretold}"
    )


def _line(
    result: Trajectories, at: int, x: np.ndarray, y: np.ndarray, look: Look, *, named: bool
) -> go.Scatter:
    """One path; its end is a larger mark with the token beside it."""
    hue, points = _HUES[at % len(_HUES)], len(x)
    text = [""] * (points - 1) + [_name(result, at) if named else ""]
    return go.Scatter(
        x=x,
        y=y,
        mode="lines+markers+text",
        text=text,
        textposition="top center",
        textfont={"size": 12, "color": colour("text", look)},
        line={"color": hue, "width": 2, "dash": _DASHES[at // len(_HUES) % len(_DASHES)]},
        marker={
            "color": hue,
            "size": [5] * (points - 1) + [11],
            "symbol": ["circle-open"] + ["circle"] * (points - 1),
        },
        name=_name(result, at),
        hovertext=[_hover(result, at, point) for point in range(points)],
        hovertemplate="%{hovertext}<extra></extra>",
        cliponaxis=False,
    )


def _plane(result: Trajectories, look: Look) -> go.Figure:
    """Directions of the states, layer by layer; grey: steps in random directions."""
    first, second = (number(100 * share) for share in result.plane_share)
    grey = [
        go.Scatter(
            x=way[:, 0],
            y=way[:, 1],
            mode="lines",
            line={"color": faint("control", look, 0.5), "width": 1},
            hoverinfo="skip",
        )
        for way in result.random_place[:MOST_LINES]
    ]
    paths = [
        _line(result, at, way[:, 0], way[:, 1], look, named=len(result.place) <= MOST_LINES)
        for at, way in enumerate(result.place)
    ]
    on = "all points" if result.basis == "all" else escaped(result.sites[int(result.basis)])
    return drawn(
        [*grey, *paths],
        look,
        title=title(result),
        height=HEIGHT,
        xaxis={"title": {"text": f"first component, {first} % (fitted on {on}; states of length "
                                 "1; grey: random steps)"}, "showgrid": False},
        yaxis={"title": {"text": f"second component, {second} %"}, "showgrid": False},
    )  # fmt: skip


def _tokens(result: Trajectories, look: Look) -> go.Figure:
    """Across: likeness to the token that stands there; up: to the one foretold."""
    paths = [
        _line(result, at, result.to_input[at], result.to_output[at], look,
              named=len(result.place) <= MOST_LINES)
        for at in range(len(result.tokens))
    ]  # fmt: skip
    other = go.Scatter(
        x=result.to_input.mean(axis=0),
        y=result.other_output.mean(axis=0),
        mode="lines",
        line={"color": colour("control", look), "width": 2, "dash": "dash"},
        name="random tokens instead of the foretold",
        hovertemplate="random tokens: %{y:.3g}<extra></extra>",
    )
    return drawn(
        [other, *paths],
        look,
        title="From the token that stands there to the token foretold (dashes: random tokens)",
        height=HEIGHT,
        xaxis={"title": {"text": "cosine with the embedding of the token itself"}},
        yaxis={"title": {"text": "cosine with the row that reads the foretold token"}},
    )


def _end(result: Trajectories, look: Look) -> go.Figure:
    """Cosine of every state with the last one, beside both kinds of chance."""
    x = np.arange(result.to_end.shape[1])
    traces = [
        go.Scatter(
            x=x,
            y=row,
            mode="lines",
            line={"color": faint("a", look, 0.35), "width": 1.2},
            hovertext=[_hover(result, at, point) for point in x.tolist()],
            hovertemplate="%{hovertext}<extra></extra>",
            showlegend=False,
        )
        for at, row in enumerate(result.to_end)
    ]
    traces.append(lines.curve(x, result.to_end.mean(axis=0), look, role="a", name="mean path"))
    named = (
        (result.order_to_end, "same steps, random order", "control", "dash"),
        (result.random_to_end, "random directions", "control", "dot"),
        (result.fresh_to_end, "fresh weights", "warning", "dashdot"),
    )
    for values, name, role, dash in named:
        if np.isfinite(values).any():
            traces.append(
                lines.curve(x, values.mean(axis=0), look, role=role, name=name, dash=dash)
            )
    return drawn(
        traces,
        look,
        title="How near every state is to the last one",
        height=380,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": TOP + 30},
        xaxis=_points(result, "point of the way"),
        yaxis={"title": {"text": "cosine with the last state"}, "range": [-0.25, 1.05]},
    )


def _points(result: Trajectories, words: str) -> dict[str, Any]:
    axis = grid.number_axis(len(result.sites), words)
    return {**axis, "ticktext": ["emb" if at == 0 else f"L{at - 1}" for at in axis["tickvals"]]}


def _steps(result: Trajectories, look: Look) -> go.Figure:
    share = result.step / np.maximum(result.path[:, None], 1e-30)
    return _map(
        result, look, share, scale=UNSIGNED, limits=(0.0, rounded_up(float(share.max()))),
        unit="share of the whole way", words=lambda at, layer: (
            f"step {number(result.step[at, layer])} of a way of {number(result.path[at])}"
        ),
    )  # fmt: skip


def _turns(result: Trajectories, look: Look) -> go.Figure:
    return _map(
        result, look, result.turn, scale=signed(look), limits=(-1.0, 1.0),
        unit="cosine with the step before", words=lambda at, layer: (
            f"cosine with the step before {number(result.turn[at, layer])}<br>steps in random "
            f"order {number(result.order_turn[at, layer])}, fresh weights "
            f"{number(result.fresh_turn[at, layer])}"
        ),
    )  # fmt: skip


def _shares(result: Trajectories, look: Look) -> go.Figure:
    return _map(
        result, look, result.attention_share, scale=signed(look), limits=(-1.0, 2.0),
        unit="share of attention in the step (the MLP's is 1 less it)", words=lambda at, layer: (
            f"attention {number(result.attention_share[at, layer])}, MLP "
            f"{number(result.mlp_share[at, layer])} of the step, along it"
        ),
    )  # fmt: skip


def _map(
    result: Trajectories, look: Look, values: np.ndarray, *, scale: Any,
    limits: tuple[float, float], unit: str, words: Any,
) -> go.Figure:  # fmt: skip
    """Path by layer, the first path on top."""
    rows, layers = values.shape
    hover = [
        [
            f"<b>{token(result.tokens[at])}</b> in …{token(result.contexts[at], 60)}<br>block "
            f"{layer}: {words(at, layer)}"
            for layer in range(layers)
        ]
        for at in range(rows)
    ]
    few = layers <= grid.MOST_TEXT_COLUMNS and rows <= grid.MOST_TEXT_ROWS
    cells = grid.cells(
        values.astype("float32"),
        scale=scale,
        limits=limits,
        hover=np.array(hover, dtype=object),
        text=np.array(
            [["" if np.isnan(v) else f"{v:.2f}" for v in row] for row in values], dtype=object
        )
        if few
        else None,
        bar=colour_bar(unit, look),
    )
    names = {"tickmode": "array", "tickvals": list(range(rows)), "showgrid": False}
    names["ticktext"] = [_name(result, at) for at in range(rows)]
    return drawn(
        [cells],
        look,
        title=title(result),
        height=TOP + grid.rows_height(rows) + BOTTOM,
        margin={"l": 120},
        xaxis=grid.number_axis(layers, "block"),
        yaxis={"title": {"text": "path"}, "range": [rows - 0.5, -0.5], **names},
    )


def _straight(result: Trajectories, look: Look) -> go.Figure:
    """How direct every path is; grey where random directions lie."""
    rows = np.arange(len(result.tokens))
    low, mean, high = result.random_straight.T
    traces = [
        lines.ranges(low, high, rows, look, name="random directions"),
        lines.dots(mean, rows, look, role="control", name="random directions, mean",
                   symbol="line-ns-open"),
        lines.dots(result.straight, rows, look, role="a", name="the path"),
    ]  # fmt: skip
    if np.isfinite(result.fresh_straight).any():
        traces.append(
            lines.dots(result.fresh_straight, rows, look, role="warning", symbol="diamond-open",
                       name="fresh weights")
        )  # fmt: skip
    return drawn(
        traces,
        look,
        title=title(result),
        height=TOP + grid.rows_height(len(rows)) + BOTTOM + 24,
        showlegend=True,
        legend={"y": 1.0},
        margin={"l": 120, "t": TOP + 24},
        xaxis={"title": {"text": "distance from start to end / length of the way"},
               "range": [0, 1.02]},
        yaxis={
            "tickmode": "array",
            "tickvals": rows.tolist(),
            "ticktext": [_name(result, at) for at in rows.tolist()],
            "range": [len(rows) - 0.5, -0.5],
            "showgrid": False,
            "title": {"text": "path"},
        },
    )  # fmt: skip
