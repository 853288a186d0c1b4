"""Two heads on one text: the pattern of either on one scale, and their difference."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures import grid
from core.figures.attention import zero_blank
from core.figures.theme import BOTTOM, TOP, Look, colour_bar, drawn, signed
from core.figures.wording import count, number, quoted
from core.results.head_compare import MEASURES, HeadCompare
from core.spec.errors import Error

VIEWS = ("first", "second", "difference")
MOST_LABELS = 24  # tokens: more, and their places stand at the axes


def figure(result: HeadCompare, look: Look, *, view: str = "difference") -> go.Figure:
    """Row = the token that looks, read downwards; column = the token looked at.

    "first" and "second" are on one scale from 0 to 1; "difference" is the first minus the second,
    from -1 to 1. Of a long text a cell is the weight, or difference, of largest size in it.
    """
    if view not in VIEWS:
        raise Error(f"two heads are drawn as {', '.join(VIEWS)}, not {view!r:.40}")
    apart = view == "difference"
    z = result.difference if apart else result.pattern[VIEWS.index(view)]
    sign = ":+.2f" if apart else ":.2f"
    cells = grid.cells(
        z,
        scale=signed(look) if apart else zero_blank(look),
        limits=(-255, 255) if apart else (0, 255),
        hovertemplate=_place(result)
        + ("<br>difference " if apart else "<br>weight ")
        + f"%{{customdata{sign}}}<extra></extra>",
        customdata=z.astype("float32") / 255,
        bar=_bar(look, apart),
    )
    n = len(z)
    side = max(200, min(340, n * (22 if n <= MOST_LABELS else 8)))
    room = grid.label_room(result.tokens) if n <= MOST_LABELS else 0
    return drawn(
        [cells],
        look,
        title=_title(result, view),
        height=TOP + side + BOTTOM + room,
        xaxis=_axis(result, "looked at (key)"),
        yaxis=_axis(result, "looks (query)", upright=True) | {"range": [n - 0.5, -0.5]},
    )


def title(result: HeadCompare) -> str:
    """How much of their attention the two have in common, beside other heads, in words."""
    common = list(MEASURES).index("common")
    first, second = result.heads
    beside = f" (other heads {number(result.others[common])})" if result.n_others else ""
    return (
        f"{first} and {second} have {result.alike[common]:.0%} of their attention in common{beside}"
    )


def together(result: HeadCompare) -> str:
    """Whether one stands in for the other, beside what random changes do, in words."""
    own, control = result.together
    if abs(own) <= abs(control):
        return "Together they cost what each costs alone, as far as random changes tell."
    beside = f"{number(abs(own))} nats {{}} than the sum of each (control {number(abs(control))})"
    if own > 0:
        return f"Together they cost {beside.format('more')}: one stands in for the other."
    return (
        f"Together they cost {beside.format('less')}: what one does passes through the other, or "
        "little is left to lose."
    )


def caption(result: HeadCompare) -> str:
    """The controls and the sample, in words."""
    beside = "no other head in their layers to compare with"
    if result.n_others:
        beside = (
            f"control of likeness, either beside each of the {result.n_others} other heads of "
            "their layers"
        )
    effects = ""
    if result.answer:
        effects = (
            f"; control of effects, the stream moved as far in random directions (mean of "
            f"{result.n_controls}); log p of {quoted(result.answer)} at token {result.position}"
        )
    cell = f"; a cell is {count(result.step, 'token')} wide" if result.step > 1 else ""
    return f"{beside}{effects}; 1 text of {count(len(result.tokens), 'token')}{cell}"


def _title(result: HeadCompare, view: str) -> str:
    first, second = result.heads
    return f"{first} − {second}" if view == "difference" else result.heads[VIEWS.index(view)]


def _place(result: HeadCompare) -> str:
    if result.step == 1:
        return "token %{y} looks at token %{x}"
    return f"cell %{{y}} looks at cell %{{x}}, {result.step} tokens each"


def _bar(look: Look, apart: bool) -> dict[str, Any]:
    words = "difference" if apart else "attention weight"
    at = [-255, 0, 255] if apart else [0, 127.5, 255]
    names = ["−1", "0", "1"] if apart else ["0", "0.5", "1"]
    return colour_bar(words, look, tickvals=at, ticktext=names)


def _axis(result: HeadCompare, title: str, *, upright: bool = False) -> dict[str, Any]:
    """Tokens where they fit, else the place of the first token of a cell."""
    if result.step == 1 and len(result.tokens) <= MOST_LABELS:
        return grid.token_axis(result.tokens, title, upright=upright)
    n = result.pattern.shape[-1]
    at = np.arange(0, n, max(1, n // 8))
    return {
        "title": {"text": title},
        "tickmode": "array",
        "tickvals": at.tolist(),
        "ticktext": [f"{place * result.step:,}" for place in at.tolist()],
        "showgrid": False,
        "range": [-0.5, n - 0.5],
    }
