"""Many groups of points: colours and signs that stay apart on white and near-black, and a room."""

from collections.abc import Sequence
from typing import Any

from core.figures.theme import Look, colour

HUES = (
    "#4e79a7",
    "#e8812b",
    "#d35759",
    "#5fa8a3",
    "#59a14f",
    "#c9a227",
    "#a0699c",
    "#e5808e",
    "#9c755f",
    "#8c8c8c",
    "#3b8bc2",
    "#7d8f2f",
)
SYMBOLS = ("circle", "diamond", "square", "x", "triangle-up", "cross")
# The signs that Plotly has in space as well.
SOLID = ("circle", "diamond", "square", "x", "cross", "circle-open", "diamond-open", "square-open")


def hue(number: int) -> str:
    """The colour of a group; more groups than colours go round again, with another sign."""
    return HUES[number % len(HUES)]


def symbol(number: int, deep: bool = False) -> str:
    """The sign of a group, in the plane or in space."""
    signs = SOLID if deep else SYMBOLS
    return signs[number // len(HUES) % len(signs)]


def scene(labels: Sequence[str], look: Look, **more: Any) -> dict[str, Any]:
    """Three axes with titles for points in space, calm in both looks."""
    line, words = colour("hairline", look), colour("muted", look)
    axis = {
        "gridcolor": line,
        "linecolor": line,
        "zerolinecolor": line,
        "showbackground": False,
        "tickfont": {"size": 10, "color": words},
        "showspikes": False,
    }
    named = {
        f"{name}axis": {**axis, "title": {"text": label, "font": {"size": 11, "color": words}}}
        for name, label in zip("xyz", labels, strict=True)
    }
    return {**named, "aspectmode": "cube", **more}
