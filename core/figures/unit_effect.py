"""What one unit causes: each condition above its control, on the answers and on everything."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures import grid
from core.figures.theme import (
    BOTTOM,
    ROW,
    TOP,
    Look,
    colour,
    drawn,
    signed,
)
from core.figures.wording import count, escaped, number, quoted, token
from core.results.unit_effect import UnitEffect

CARRIED_HEIGHT = 300


def figure(result: UnitEffect, look: Look, *, limit: float | None = None) -> go.Figure:
    """Left: change of log p of the clean run's top tokens. Right: KL of each run at the token.

    Every condition is one row, its control the row below: their mean left, each of them right.

    limit  the |change| of full colour in nats, when several figures stand side by side
    """
    rows = 2 * len(result.conditions)
    change = np.empty((rows, len(result.top)), "float32")
    # Row 0 lies at the bottom of the plot.
    change[::-2], change[-2::-2] = result.top_change, result.control_top_change
    most = limit or max(float(np.abs(change).max()), 1e-3)
    labels = [name for pair in _labels(result)[::-1] for name in pair[::-1]]
    heat = grid.cells(
        change,
        scale=signed(look),
        limits=(-most, most),
        text=np.array([[number(round(float(v), 2), sign=True) for v in row] for row in change]),
        hover=_hover(result, change, labels),
    )
    axis = grid.token_axis(result.top, "Δ log p (nats)")
    end = max(float(result.kl.max()), float(result.control_kl.max())) or 1.0
    right = {"domain": [0.7, 1], "anchor": "y", "range": [-0.06 * end, 1.08 * end], "nticks": 4}
    return drawn(
        [heat, *_divergences(result, look)],
        look,
        title=title(result),
        height=TOP + 8 + ROW * rows + BOTTOM,
        margin={"l": 130, "r": 16, "t": TOP + 8},
        xaxis={**axis, "domain": [0, 0.64]},
        xaxis2={**right, "title": {"text": "KL (nats)"}},
        yaxis={
            "tickmode": "array",
            "tickvals": list(range(rows)),
            "ticktext": labels,
            "range": [-0.5, rows - 0.5],
            "showgrid": False,
        },
    )


def carried(result: UnitEffect, look: Look, *, condition: int = 0) -> go.Figure:
    """How far the change of one condition carries through the layers behind the unit.

    Above: its length against the stream's. Below: its cosine with what the unit itself wrote; a
    fall says that later layers turned it into something else or made it good.
    """
    own, chance = colour("clamped", look), colour("control", look)
    lines = (
        (result.shift[condition], "y", "changed", own, "solid"),
        (result.control_shift[condition], "y", "control, mean", chance, "dash"),
        (result.cosine[condition], "y2", "changed", own, "solid"),
        (result.control_cosine[condition], "y2", "control, mean", chance, "dash"),
    )
    traces = [
        go.Scatter(
            x=result.layer,
            y=values,
            yaxis=place,
            name=name,
            showlegend=place == "y",
            mode="lines+markers",
            line={"color": line, "width": 2, "dash": dash},
            marker={"size": 5},
            hovertemplate=f"{name}<br>L%{{x}}.resid_post<br>%{{y:.3g}}<extra></extra>",
        )
        for values, place, name, line, dash in lines
    ]
    first, last = int(result.layer[0]), int(result.layer[-1])
    return drawn(
        traces,
        look,
        title=f"{result.site} {result.conditions[condition]}: how far it carries",
        height=CARRIED_HEIGHT,
        showlegend=True,
        legend={"y": 1.04},
        xaxis={
            "anchor": "y2",
            "title": {"text": "layer"},
            "range": [first - 0.3, last + 0.3],
            "tickformat": "d",
            "nticks": min(24, last - first + 2),
        },
        yaxis={"domain": [0.56, 1], "title": {"text": "‖Δx‖ / ‖x‖"}, "rangemode": "tozero"},
        yaxis2={"domain": [0, 0.46], "title": {"text": "cosine"}, "range": [-0.35, 1.08]},
    )


def title(result: UnitEffect) -> str:
    """The strongest condition beside its control, in words."""
    at = int(np.argmax(result.kl))
    controls = result.control_kl[at]
    span = f"control {number(controls.mean())}, at most {number(controls.max())}"
    return f"{result.site} {result.conditions[at]}: KL {number(result.kl[at])} nats ({span})"


def caption(result: UnitEffect) -> str:
    """The controls and the sample, in words."""
    kinds = dict.fromkeys(result.control_words)
    where = f"; at the tokens “{result.where}”" if result.where else ""
    unit = ""
    if result.n_reference:
        unit = f"; p99.9 = {number(result.unit)} over {result.n_reference:,} tokens"
    return (
        f"control, {count(result.n_controls, 'run')} each: {'; '.join(kinds)}; token "
        f"{result.position} of 1 text{where}{unit}"
    )


def repair_words(result: UnitEffect) -> str:
    """Direct against total effect of the ablations, in words; "" where it cannot be had."""
    parts = [
        f"{name}: direct {number(direct, sign=True)}, total {number(total, sign=True)} logits, "
        f"self-repair {number(repair)}"
        for name, direct, total, repair in zip(
            result.conditions, result.direct, result.total, result.repair, strict=True
        )
        if not np.isnan(repair)
    ]
    return f"{quoted(result.answer)} {'; '.join(parts)}" if parts else ""


def _labels(result: UnitEffect) -> list[tuple[str, str]]:
    return [(escaped(name), "control") for name in result.conditions]


def _divergences(result: UnitEffect, look: Look) -> list[go.Scatter]:
    n = len(result.conditions)
    own_row = np.arange(2 * n - 1, -1, -2)
    chance = np.repeat(own_row - 1, result.n_controls)
    shared: dict[str, Any] = {"mode": "markers", "xaxis": "x2", "showlegend": False}
    return [
        go.Scatter(
            x=result.control_kl.reshape(-1),
            y=chance,
            marker={"size": 6, "color": colour("control", look), "symbol": "circle-open"},
            hovertemplate="control<br>KL %{x:.3g} nats<extra></extra>",
            **shared,
        ),
        go.Scatter(
            x=result.kl,
            y=own_row,
            marker={"size": 10, "color": colour("clamped", look)},
            customdata=result.kl_mean,
            hovertemplate="KL %{x:.3g} nats<br>mean over tokens %{customdata:.3g}<extra></extra>",
            **shared,
        ),
    ]


def _hover(result: UnitEffect, change: np.ndarray, labels: list[str]) -> np.ndarray:
    names = [token(piece) for piece in result.top]
    return np.array(
        [
            [
                f"<b>{label}</b><br>{name}<br>Δ log p {number(value, sign=True)} nats"
                f"<br>clean p {number(p)}"
                for name, value, p in zip(names, row, result.top_probability, strict=True)
            ]
            for label, row in zip(labels, change, strict=True)
        ],
        dtype=object,
    )
