"""The visual language: colours by role, scales, fonts and one layout for every figure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from core.figures.wording import escaped

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
    # Backgrounds of text: raised and lowered values (the ends of the signed scale), weights.
    "high": ("#b2182b", "#ff9c4a"),
    "low": ("#2166ac", "#6cb6ff"),
    "weight": ("#1f8f86", "#35b5a0"),
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
TITLE = 30  # pixels of the title line, a part of TOP
TOP, BOTTOM = 58, 40  # the tool bar of the chart needs some 28 above the plot


@dataclass(frozen=True, slots=True)
class Look:
    """How a figure is drawn, never what it says: dark theme or light, width in pixels.

    `width` None fills the place it is given. `titled` False leaves the title to the page,
    where it can be wrapped.
    """

    dark: bool = False
    width: int | None = None
    titled: bool = True


def colour(role: str, look: Look) -> str:
    """The colour of a role in this look, as #rrggbb."""
    return ROLES[role][look.dark]


def faint(role: str, look: Look, alpha: float) -> str:
    """The colour of a role with some of the background showing through."""
    red, green, blue = (int(colour(role, look)[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha:g})"


def css_roles() -> str:
    """The roles as CSS variables (`--role-clamped`) that follow the theme without a rerun."""
    return " ".join(
        f"--role-{name}: light-dark({light}, {dark});" for name, (light, dark) in ROLES.items()
    )


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


def drawn(
    traces: Sequence[Any], look: Look, *, title: str, height: int, **layout: Any
) -> go.Figure:
    """The figure of these traces in the house's fonts, colours and margins.

    title   what is seen, as plain text
    height  in pixels, with the title
    layout  laid over the house's own, dictionary into dictionary; every axis is named here

    One dictionary, given once: plotly's update methods cost ten times the drawing.
    """
    axes = {name: _axis(look) for name in layout if name.startswith(("xaxis", "yaxis"))}
    whole = _over({**_house(look), **axes, "height": height}, layout)
    if look.titled:
        whole["title"] = {**_title(look), "text": escaped(title)}
    else:
        whole["height"] -= TITLE
        whole["margin"]["t"] -= TITLE
    return go.Figure(data=list(traces), layout=whole)


def rounded_up(value: float) -> float:
    """The next of ... 0.1, 0.2, 0.5, 1, 2, 5, 10 ...: the end of a scale that holds `value`."""
    if not value > 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if value <= step * power * (1 + 1e-6))


def with_title(fig: go.Figure, title: str) -> go.Figure:
    """A copy of a figure that was drawn without its title, with it (plain text)."""
    whole = go.Figure(fig)
    if not whole.layout.title.text:
        place = _title(Look())
        place["font"]["color"] = fig.layout.font.color
        whole.layout.title = {**place, "text": escaped(title)}
        whole.layout.height += TITLE
        whole.layout.margin.t += TITLE
    return whole


def note(words: str, look: Look, role: str = "muted", **place: Any) -> dict[str, Any]:
    """An annotation without an arrow, in small type; `place` as Plotly names it."""
    font = {"size": 11, "color": colour(role, look)}
    return {"text": words, "showarrow": False, "font": font, **place}


def _over(base: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
    both = dict(base)
    for name, value in top.items():
        old = both.get(name)
        merge = isinstance(old, dict) and isinstance(value, dict)
        both[name] = _over(old, value) if merge else value  # type: ignore[arg-type]
    return both


def _house(look: Look) -> dict[str, Any]:
    text, background = colour("text", look), colour("background", look)
    return {
        "template": "none",
        "width": look.width,
        "autosize": look.width is None,
        "paper_bgcolor": background,
        "plot_bgcolor": background,
        "font": {"family": SANS, "size": 13, "color": text},
        "margin": {"t": TOP, "b": BOTTOM, "l": 56, "r": 8},
        "showlegend": False,
        "legend": {"orientation": "h", "x": 0, "yanchor": "bottom", "font": {"size": 12}},
        "hoverlabel": {
            "bgcolor": colour("panel", look),
            "bordercolor": colour("muted", look),
            "font": {"family": SANS, "size": 13, "color": text},
            "align": "left",
        },
        "modebar": {
            "bgcolor": "rgba(0,0,0,0)",
            "color": colour("control", look),
            "activecolor": colour("a", look),
        },
    }


def _title(look: Look) -> dict[str, Any]:
    return {
        "font": {"size": 14, "color": colour("text", look)},
        "x": 0,
        "xref": "container",
        "xanchor": "left",
        "y": 1,
        "yref": "container",
        "yanchor": "top",
        "pad": {"t": 8, "l": 4},
    }


def _axis(look: Look) -> dict[str, Any]:
    line = colour("hairline", look)
    return {
        "gridcolor": line,
        "zeroline": False,
        "linecolor": line,
        "ticks": "",
        "automargin": True,
        "title": {"font": {"size": 13, "color": colour("muted", look)}, "standoff": 8},
        "tickfont": {"size": 12, "color": colour("text", look)},
    }
