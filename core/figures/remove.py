"""A direction taken out of the stream: behaviour before and after, projections, candidates."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures import grid
from core.figures.theme import BOTTOM, TOP, Look, colour, colour_bar, drawn, faint, signed
from core.figures.wording import count, number, quoted
from core.results.remove import RemoveResult

ROWS = ("before", "removed", "affine", "control")
WORDS = {
    "before": "as it is",
    "removed": "taken out",
    "affine": "taken to the mean",
    "control": "random directions",
}
SIDES = (("positive texts", "a", "circle"), ("negative texts", "b", "diamond"))


def figure(result: RemoveResult, look: Look) -> go.Figure:
    """Left the behaviour in log-odds, a row each; right the mean projection by layer.

    Solid: as it is; dots: taken out; dashes: the affine form.
    """
    n_layers = result.curve_before.shape[1]
    rows = {"tickmode": "array", "tickvals": list(range(len(ROWS))),
            "ticktext": [WORDS[name] for name in ROWS]}  # fmt: skip
    return drawn(
        [*_behaviour(result, look), *_curves(result, look)],
        look,
        title=title(result),
        height=340,
        showlegend=True,
        legend={"y": 1.04},
        margin={"t": 80},
        xaxis={"domain": [0, 0.42], "title": {"text": "log-odds of the watched tokens (nats)"}},
        yaxis={**rows, "range": [len(ROWS) - 0.5, -0.5], "title": {"text": ""}},
        xaxis2={
            **grid.number_axis(n_layers, "layer", names=True),
            "domain": [0.58, 1],
            "anchor": "y2",
        },
        yaxis2={"title": {"text": "mean projection (stream units)"}, "anchor": "x2"},
    )


def title(result: RemoveResult) -> str:
    """What happens to the watched tokens, beside random directions, in words."""
    words = quoted(*result.tokens[:3])
    down = result.before[0] - result.removed[0]
    control = result.before[0] - result.control[:, 0].mean()
    verb = "fall" if down >= 0 else "rise"
    return (
        f"Without the direction, log-odds of {words} {verb} by {number(abs(down))} nats on "
        f"positive texts (random directions: {number(-control, sign=True)}); KL on neutral text "
        f"{number(result.kl[0])} nats per token (random {number(result.kl[2])})"
    )


def caption(result: RemoveResult) -> str:
    """The choice, the control and the sample, in words."""
    position, layer = result.positions[result.chosen[0]], result.chosen[1]
    return (
        f"direction of layer {layer}, state at {position}: {result.why}; built from "
        f"{result.n_build} texts a side, measured on {result.n_positive} and {result.n_negative} "
        f"others; control, "
        f"{count(result.n_controls, 'random direction')} taken out; {result.token_reason}; "
        f"seed {result.seed}"
    )


def _behaviour(result: RemoveResult, look: Look) -> list[go.Scatter]:
    found = []
    for side, (name, role, symbol) in enumerate(SIDES):
        values = [result.before[side], result.removed[side], result.affine[side]]
        y = np.array([0, 1, 2, *[3] * len(result.control)])
        found.append(
            go.Scatter(
                x=np.array([*values, *result.control[:, side]]),
                y=y,
                mode="markers",
                name=name,
                marker={"size": 10, "symbol": symbol, "color": colour(role, look)},
                hovertemplate="%{x:.3g} nats<extra>" + name + "</extra>",
            )
        )
    return found


def _curves(result: RemoveResult, look: Look) -> list[go.Scatter]:
    found = []
    shared: dict[str, Any] = {"xaxis": "x2", "yaxis": "y2", "mode": "lines", "showlegend": False}
    layers = np.arange(result.curve_before.shape[1])
    for side, (name, role, _) in enumerate(SIDES):
        for form, dash in (("before", "solid"), ("removed", "dot"), ("affine", "dash")):
            found.append(
                go.Scatter(
                    x=layers,
                    y=getattr(result, f"curve_{form}")[side],
                    line={"color": colour(role, look), "width": 2, "dash": dash},
                    hovertemplate=f"layer %{{x}}<br>%{{y:.3g}}<extra>{name}, {WORDS[form]}</extra>",
                    **shared,
                )
            )
    return found


def candidates(result: RemoveResult, look: Look) -> go.Figure:
    """Behaviour on positive texts with each candidate taken out; dots: usable, ring: chosen."""
    change = result.ablated - result.before[0]
    most = float(np.abs(change).max()) or 1.0
    n_positions, n_layers = change.shape
    text = np.where(result.usable, "●", "")
    text[result.chosen] = "◉"
    hover = [[_line(result, place, layer) for layer in range(n_layers)] for place in
             range(n_positions)]  # fmt: skip
    cells = grid.cells(
        change.astype("float32"),
        scale=signed(look),
        limits=(-most, most),
        hover=np.array(hover, dtype=object),
        text=text.astype(object),
        bar=colour_bar("change of log-odds (nats)", look),
    )
    return drawn(
        [cells],
        look,
        title="Candidates: what taking each one out does to the behaviour",
        height=TOP + grid.rows_height(n_positions) + BOTTOM,
        xaxis=grid.number_axis(n_layers, "layer", names=True),
        yaxis={
            "title": {"text": "state at"},
            "tickmode": "array",
            "tickvals": list(range(n_positions)),
            "ticktext": list(result.positions),
            "range": [-0.5, n_positions - 0.5],
            "showgrid": False,
        },
    )


def _line(result: RemoveResult, place: int, layer: int) -> str:
    verdict = "usable" if result.usable[place, layer] else "not usable"
    return (
        f"<b>layer {layer}, {result.positions[place]}</b> {verdict}"
        f"<br>taken out: {number(result.ablated[place, layer])} nats on positive texts "
        f"(as it is {number(result.before[0])})"
        f"<br>added: {number(result.added[place, layer])} nats on negative texts "
        f"(as it is {number(result.before[1])})"
        f"<br>KL on neutral text {number(result.candidate_kl[place, layer])} nats per token"
    )


def projections(result: RemoveResult, look: Look) -> go.Figure:
    """Every held-out text along the direction at its layer: as it is, taken out, affine."""
    traces = []
    for row, form in enumerate(("before", "removed", "affine")):
        values = getattr(result, f"projection_{form}")
        parts = np.split(values, [result.n_positive])
        for (name, role, symbol), part in zip(SIDES, parts, strict=True):
            offset = -0.12 if symbol == "circle" else 0.12
            traces.append(
                go.Scatter(
                    x=part,
                    y=np.full(len(part), row + offset),
                    mode="markers",
                    name=name,
                    showlegend=row == 0,
                    marker={"size": 8, "symbol": symbol, "color": faint(role, look, 0.65)},
                    hovertemplate="%{x:.3g}<extra>" + f"{name}, {WORDS[form]}" + "</extra>",
                )
            )
    names = [WORDS[form] for form in ("before", "removed", "affine")]
    return drawn(
        traces,
        look,
        title=f"Held-out texts along the direction at layer {result.chosen[1]}",
        height=260,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 70},
        xaxis={"title": {"text": "projection (stream units)"}},
        yaxis={"title": {"text": ""}, "tickmode": "array", "tickvals": [0, 1, 2],
               "ticktext": names, "range": [2.5, -0.5]},
    )  # fmt: skip
