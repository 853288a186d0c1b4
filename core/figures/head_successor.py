"""An ordered list through one head: row the item it sees, column the item it raises."""

import numpy as np
import plotly.graph_objects as go

from core.figures import grid
from core.figures.theme import BOTTOM, TOP, Look, colour, colour_bar, drawn, rounded_up, signed
from core.figures.wording import count, number, token
from core.results.head_successor import HeadSuccessor

MOST_HOVERS = 44  # items: beyond it the hover says places and value alone
CELL, LEAST, MOST = 22, 240, 620


def figure(result: HeadSuccessor, look: Look) -> go.Figure:
    """Red is raised, blue lowered, each row less its mean; rings mark the next items."""
    n = len(result.items)
    limit = rounded_up(float(np.abs(result.logits).max()))
    cells = grid.cells(
        result.logits.astype("float32"),
        scale=signed(look),
        limits=(-limit, limit),
        hover=_hover(result) if n <= MOST_HOVERS else None,
        hovertemplate="%{hovertext}<extra></extra>"
        if n <= MOST_HOVERS
        else "item %{y} raises item %{x} by %{z:.3~g}<extra></extra>",
        bar=colour_bar("logit less the row's mean", look),
    )
    rings = go.Scatter(
        x=result.after,
        y=result.step,
        mode="markers",
        marker={
            "symbol": np.where(result.hit, "circle", "circle-open").tolist(),
            "size": max(3, min(9, 400 // n)),
            "color": colour("text", look),
        },
        hoverinfo="skip",
    )
    return drawn(
        [cells, rings],
        look,
        title=title(result),
        height=TOP + max(LEAST, min(MOST, n * CELL)) + BOTTOM + grid.label_room(result.items),
        xaxis=grid.token_axis(result.items, "raised"),
        yaxis=grid.token_axis(result.items, "seen", upright=True) | {"range": [n - 0.5, -0.5]},
    )


def title(result: HeadSuccessor) -> str:
    """How often the next item is raised most, beside chance."""
    return (
        f"{result.site} raises the next of {result.list_name} most for {result.score:.0%} of "
        f"{count(result.n_steps, 'item')} (chance {result.chance:.0%})"
    )


def caption(result: HeadSuccessor) -> str:
    """The control and the sample, in words."""
    other = "no other head" if np.isnan(result.control_score) else number(result.control_score)
    entered = "stream behind block 0" if result.embedding == "effective" else "input embedding"
    return (
        f"tokens enter as their {entered}; control, other heads of the layer {other}, "
        f"{count(result.n_random, 'head')} of random weights {number(result.random_score)}; next "
        f"above the item itself by {number(np.nanmean(result.over_copy), sign=True)} and above the "
        f"previous one by {number(np.nanmean(result.over_previous), sign=True)} standard "
        f"deviations; {count(len(result.items), 'token')}, {count(result.n_dropped, 'item')} "
        "dropped as no single token; filled dots hit"
    )


def _hover(result: HeadSuccessor) -> np.ndarray:
    names = [token(item) for item in result.items]
    return np.array(
        [
            [
                f"sees <b>{seen}</b>, raises <b>{raised}</b><br>"
                f"{number(result.logits[row, column], sign=True)}"
                for column, raised in enumerate(names)
            ]
            for row, seen in enumerate(names)
        ],
        dtype=object,
    )
