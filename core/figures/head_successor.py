"""An ordered list through one head: row the item it sees, column the item it raises."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures import grid
from core.figures.head_maps import hovers
from core.figures.theme import (
    BOTTOM,
    TOP,
    UNSIGNED,
    Look,
    colour,
    colour_bar,
    drawn,
    note,
    rounded_up,
    signed,
)
from core.figures.wording import count, number, token
from core.results.head_successor import HeadSuccessor
from core.spec.errors import Error

MOST_HOVERS = 44  # items: beyond it the hover says places and value alone
CELL, LEAST, MOST = 22, 240, 620
VIEWS = ("items", "digits")


def figure(result: HeadSuccessor, look: Look, *, view: str = "items") -> go.Figure:
    """view "items": red is raised, blue lowered, each row less its mean, rings mark the next items;
    "digits": share of numbers that follow an exchange of their last digit, beside the control
    """
    if view not in VIEWS:
        raise Error(f"a successor head is drawn as {', '.join(VIEWS)}, not {view[:20]!r}")
    return _digits(result, look) if view == "digits" else _items(result, look)


def _items(result: HeadSuccessor, look: Look) -> go.Figure:
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


def digits_title(result: HeadSuccessor) -> str:
    """How often the head follows an exchanged last digit, beside the control."""
    if result.mod_note:
        return f"Nothing about last digits: {result.mod_note}"
    moved, control = result.mod_moved
    return (
        f"With its last digit exchanged in front of {result.site}, a number leads to the digit "
        f"behind the new one in {moved:.0%} (random directions {control:.0%})"
    )


def digits_caption(result: HeadSuccessor) -> str:
    """The control and the sample of the last digits, in words."""
    if result.mod_note:
        return result.mod_note
    fitted, held = result.mod_n
    read = ", ".join(f"{name} {share:.0%}" for name, share in result.mod_accuracy.items())
    return (
        f"last digit read off what enters: {read} (chance 10%); fitted to "
        f"{count(fitted, 'number')}, {held} held out; before any exchange "
        f"{result.mod_unedited:.0%} right; control, {count(result.mod_n_random, 'draw')} of random "
        "directions as long"
    )


def _digits(result: HeadSuccessor, look: Look) -> go.Figure:
    shape = result.mod_hit.shape

    def line(had: int, given: int) -> str:
        return (
            f"ended in {had}, given {given}<br>{number(result.mod_hit[had, given])} raise a number "
            f"that ends in {(given + 1) % 10}<br>control {number(result.mod_control[had, given])}"
        )

    hover, headings = hovers(shape, line), ("the digit's feature", "control: random directions")
    traces, notes, axes = [], [], {}
    for place, values in enumerate((result.mod_hit, result.mod_control)):
        name = "x2" if place else "x"
        traces.append(
            grid.cells(
                values.astype("float32"),
                scale=UNSIGNED,
                limits=(0.0, 1.0),
                hover=hover,
                bar=None if place else colour_bar("share of numbers", look),
                xaxis=name,
            )
        )
        axes[name.replace("x", "xaxis")] = grid.number_axis(10, "digit given") | {
            "domain": [0.52 * place, 0.48 + 0.52 * place],
            "anchor": "y",
        }
        at: dict[str, Any] = {"x": 0, "y": 1, "xref": f"{name} domain", "yref": "paper"}
        notes.append(note(headings[place], look, xanchor="left", yanchor="bottom", **at))
    return drawn(
        traces,
        look,
        title=digits_title(result),
        height=TOP + 12 + grid.rows_height(10) + BOTTOM,
        margin={"t": TOP + 12},
        annotations=notes,
        yaxis=grid.number_axis(10, "digit it had"),
        **axes,
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
