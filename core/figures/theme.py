"""The visual language: colours by role, scales, fonts and one layout for every figure."""

from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

SANS = '"Source Sans", "Source Sans 3", system-ui, sans-serif'
MONO = '"Source Code Pro", ui-monospace, Menlo, Consolas, monospace'

# role: (light, dark). Never the only mark of a role: labels, dashes and brackets say it too.
ROLES: dict[str, tuple[str, str]] = {
    "a": ("#0072B2", "#56B4E9"),
    "b": ("#D55E00", "#E69F00"),
    "c": ("#009E73", "#2FBF8F"),
    "clamped": ("#8E44AD", "#C39BE8"),
    "control": ("#7A7F87", "#9AA0A8"),
    "warning": ("#9A6700", "#E3B341"),
    "text": ("#1d2129", "#e4e7ec"),
    "muted": ("#5b626c", "#a3a9b3"),
    "hairline": ("#e1e4e9", "#2b303c"),
    "background": ("#ffffff", "#101218"),
    "panel": ("#f5f6f8", "#1a1d27"),
}

# A run is drawn in the colour of its role: the clean text is model A's own.
RUNS = {"clean": "a", "clamped": "clamped", "control": "control"}

UNSIGNED = "Viridis"
SECOND_UNSIGNED = "Cividis"
# RdBu_r: lightness 20, 97, 20 from end to end. Its white middle glares on a dark page, where
# the background takes the middle; the ends are equally light there (about 65).
_SIGNED = (
    "RdBu_r",
    ((0.0, "#6cb6ff"), (0.25, "#2f6099"), (0.5, "#1a1d27"), (0.75, "#a3591b"), (1.0, "#ff9c4a")),
)

ROW = 26  # pixels of a heat map's row
TOP, BOTTOM = 44, 48


@dataclass(frozen=True, slots=True)
class Look:
    """How a figure is drawn, never what it says: dark theme or light, width in pixels.

    `width` None fills the place it is given.
    """

    dark: bool = False
    width: int | None = None


def colour(role: str, look: Look) -> str:
    """The colour of a role in this look, as #rrggbb."""
    return ROLES[role][look.dark]


def faint(role: str, look: Look, alpha: float) -> str:
    """The colour of a role with some of the background showing through."""
    red, green, blue = (int(colour(role, look)[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha:g})"


def signed(look: Look) -> Any:
    """The diverging scale; give it limits that are symmetric about 0."""
    scale = _SIGNED[look.dark]
    return scale if isinstance(scale, str) else [list(stop) for stop in scale]


def colour_bar(title: str, look: Look, **more: Any) -> dict[str, Any]:
    """A thin colour bar; its title names quantity and unit."""
    return {
        "title": {"text": title, "side": "right", "font": {"size": 12}},
        "thickness": 10,
        "outlinewidth": 0,
        "ticklen": 3,
        "tickcolor": colour("hairline", look),
        "xpad": 8,
        **more,
    }


def laid_out(fig: go.Figure, look: Look, *, title: str, height: int) -> go.Figure:
    """Give the figure the house's fonts, colours, margins and title; returns it.

    title  what is seen, already escaped by `core.figures.wording.escaped`
    height in pixels
    """
    text, background = colour("text", look), colour("background", look)
    fig.update_layout(
        template="none",
        width=look.width,
        height=height,
        paper_bgcolor=background,
        plot_bgcolor=background,
        font={"family": SANS, "size": 13, "color": text},
        title={
            "text": title,
            "font": {"size": 14, "color": text},
            "x": 0,
            "xref": "container",
            "xanchor": "left",
            "y": 1,
            "yref": "container",
            "yanchor": "top",
            "pad": {"t": 8, "l": 4},
            "automargin": False,
        },
        margin={"t": TOP, "b": BOTTOM, "l": 56, "r": 8},
        hoverlabel={
            "bgcolor": colour("panel", look),
            "bordercolor": colour("muted", look),
            "font": {"family": SANS, "size": 13, "color": text},
            "align": "left",
        },
        modebar={
            "bgcolor": "rgba(0,0,0,0)",
            "color": colour("control", look),
            "activecolor": colour("a", look),
        },
    )
    line = colour("hairline", look)
    axis = {
        "gridcolor": line,
        "zeroline": False,
        "linecolor": line,
        "ticks": "",
        "automargin": True,
        "title": {"font": {"size": 13, "color": colour("muted", look)}, "standoff": 8},
        "tickfont": {"size": 12, "color": text},
    }
    fig.update_xaxes(**axis)
    fig.update_yaxes(**axis)
    return fig
