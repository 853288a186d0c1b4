"""One category looked at closely: the planes and solids of its vectors, with words in them."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures.theme import Look, colour, drawn, faint
from core.figures.wording import escaped, readable, token
from core.results.categories import Categories
from core.spec.errors import Error

HEIGHT = 520
ROLES = ("a", "b", "c", "clamped", "warning")
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross")
FLAT, DEEP = 3, 2  # kinds of plane, kinds of solid


def plane(result: Categories, look: Look, kind: int) -> go.Figure:
    """Words and vectors in one plane; grey are any tokens, filled are words held out."""
    if not isinstance(kind, int) or not 0 <= kind < FLAT:
        raise Error(f"kind= of a plane is 0, 1 or 2, not {kind!r:.20}")
    if np.isnan(result.plane[kind]).any():
        raise Error(
            "this plane needs a parent, a sibling and, for kind 2, another parent; the category "
            "looked at lacks one: choose another (focus=) or another plane"
        )
    xy = result.plane[kind]
    traces = [_grey(result, look, xy), *_words(result, look, xy)]
    ends = (result.focus, result.focus_parent, result.sibling, result.toward)
    kept = {0: (0, 1), 1: (0, 1, 2), 2: (0, 1, 2, 3)}[kind]
    notes = [
        mark
        for number in kept
        if ends[number] >= 0
        for mark in _arrow(result, look, result.plane_arrow[kind, number], ends[number])
    ]
    one, other = _axes(result, kind)
    return drawn(
        traces,
        look,
        title=f"{one} and {other}, any token in grey",
        height=HEIGHT,
        showlegend=True,
        legend={"y": 1.01},
        margin={"t": 90},
        annotations=notes,
        xaxis={"title": {"text": one}, "constrain": "domain"},
        yaxis={"title": {"text": other}, "scaleanchor": "x", "constrain": "domain"},
    )


def _axes(result: Categories, kind: int) -> tuple[str, str]:
    parent, child = (readable(result.names[c][:24]) for c in (result.focus_parent, result.focus))
    sibling = readable(result.names[result.sibling][:24]) if result.sibling >= 0 else ""
    toward = readable(result.names[result.toward][:24]) if result.toward >= 0 else ""
    return {
        0: (parent, f"what {child} adds"),
        1: (parent, f"{child} to {sibling}"),
        2: (f"{parent} to {toward}", f"{child} to {sibling}"),
    }[kind]


def _name(text: str) -> str:
    return escaped(readable(text[:30]))


def _grey(result: Categories, look: Look, xy: np.ndarray) -> go.Scattergl:
    any_ = result.point_group < 0
    return go.Scattergl(
        x=xy[any_, 0],
        y=xy[any_, 1],
        mode="markers",
        name="any token",
        marker={"size": 4, "color": faint("control", look, 0.35)},
        hovertext=[token(word) for word, grey in zip(result.points, any_, strict=True) if grey],
        hovertemplate="%{hovertext} (any token)<extra></extra>",
    )


def _groups(result: Categories) -> list[int]:
    """The categories words are drawn as, the one looked at first."""
    first = (result.focus, result.focus_parent, result.sibling, result.toward, *result.corners)
    here = set(result.point_group.tolist())
    return [c for c in dict.fromkeys(first) if c in here and c >= 0]


def _words(result: Categories, look: Look, xy: np.ndarray) -> list[Any]:
    traces = []
    for place, group in enumerate(_groups(result)):
        mine = np.flatnonzero(result.point_group == group).tolist()
        held = result.point_held[mine]
        symbol = SYMBOLS[place % len(SYMBOLS)]
        own = colour(ROLES[place % len(ROLES)], look)
        traces.append(
            go.Scatter(
                x=xy[mine, 0],
                y=xy[mine, 1],
                mode="markers",
                name=_legend(result, group),
                marker={
                    "size": 9,
                    "color": own,
                    "symbol": [symbol if out else f"{symbol}-open" for out in held],
                },
                customdata=[result.points[number] for number in mine],
                hovertext=[_said(result, number) for number in mine],
                hovertemplate="%{hovertext}<extra></extra>",
            )
        )
    return traces


def _legend(result: Categories, group: int) -> str:
    other = "other " if group == result.focus_parent else ""
    return _name(f"{other}{result.names[group]}")


def _said(result: Categories, number: int) -> str:
    group = result.point_group[number]
    held = "held out" if result.point_held[number] else "the vectors were learned from it"
    return f"{token(result.points[number], 40)}<br>{_name(result.names[group])}, {held}"


def _arrow(result: Categories, look: Look, end: np.ndarray, category: int) -> list[dict[str, Any]]:
    """An arrow from the origin, its name beyond its end."""
    own = colour("text" if category != result.focus else "a", look)
    x, y = (float(value) for value in end)
    arrow = {
        "x": x,
        "y": y,
        "ax": 0,
        "ay": 0,
        "axref": "x",
        "ayref": "y",
        "showarrow": True,
        "arrowhead": 2,
        "arrowwidth": 2,
        "arrowcolor": own,
        "text": "",
    }
    name = {
        "x": x,
        "y": y,
        "showarrow": False,
        "text": f"<b>{_name(result.names[category])}</b>",
        "font": {"color": own},
        "xanchor": "left" if x > 0 else "right",
        "xshift": 6 if x > 0 else -6,
        "yshift": 8 if y > 0 else -8,
        "bgcolor": faint("background", look, 0.7),
    }
    return [arrow, name]


def simplex(result: Categories, look: Look, kind: int) -> go.Figure:
    """Three siblings and their parent, or the tetrahedron of four, with their words."""
    if not isinstance(kind, int) or not 0 <= kind < DEEP:
        raise Error(f"kind= of a simplex is 0 or 1, not {kind!r:.20}")
    n = 3 + kind
    corners = result.solid_corner[kind, :n]
    if len(result.corners) < n or np.isnan(corners).any():
        raise Error(
            f"a simplex of {n} needs a category with {n - 1} siblings; choose another one (focus=)"
        )
    xyz = result.solid[kind]
    traces: list[Any] = []
    any_ = result.point_group < 0
    grey = colour("control", look)
    words = [token(word) for word, grey_ in zip(result.points, any_, strict=True) if grey_]
    traces.append(
        _cloud(xyz[any_], "any token", {"size": 2, "color": grey, "opacity": 0.25}, words)
    )
    for place, group in enumerate(result.corners[:n]):
        mine = np.flatnonzero(result.point_group == group).tolist()
        held = result.point_held[mine]
        marker = {
            "size": 5,
            "color": colour(ROLES[place % len(ROLES)], look),
            "symbol": ["circle" if out else "circle-open" for out in held],
        }
        said = [_said(result, number) for number in mine]
        traces.append(_cloud(xyz[mine], _name(result.names[group]), marker, said))
    edges = [(a, b) for a in range(n) for b in range(a + 1, n)]
    path = np.concatenate([np.stack([corners[a], corners[b], [np.nan] * 3]) for a, b in edges])
    traces.append(_line(path, "simplex of the vectors", colour("text", look)))
    above = np.stack([np.zeros(3), result.solid_parent[kind]])
    parent = f"parent: {readable(result.names[result.focus_parent][:24])}"
    traces.append(_line(above, _name(parent), colour("b", look)))
    return _space(traces, look, f"{n} children of {result.names[result.focus_parent]}")


def _cloud(xyz: np.ndarray, name: str, marker: dict[str, Any], said: list[str]) -> go.Scatter3d:
    return go.Scatter3d(
        x=xyz[:, 0], y=xyz[:, 1], z=xyz[:, 2], mode="markers", name=name, marker=marker,
        hovertext=said, hovertemplate="%{hovertext}<extra></extra>",
    )  # fmt: skip


def _line(path: np.ndarray, name: str, own: str) -> go.Scatter3d:
    return go.Scatter3d(
        x=path[:, 0], y=path[:, 1], z=path[:, 2], mode="lines", name=name,
        line={"color": own, "width": 4}, hoverinfo="name",
    )  # fmt: skip


def _space(traces: list[Any], look: Look, words: str) -> go.Figure:
    axis = {
        "backgroundcolor": colour("background", look),
        "gridcolor": colour("hairline", look),
        "color": colour("muted", look),
        "zerolinecolor": colour("hairline", look),
    }
    names = ("first axis", "second axis", "third axis")
    return drawn(
        traces, look, title=f"{readable(words[:60])}, any token in grey", height=HEIGHT + 60,
        showlegend=True, legend={"y": 1.0}, margin={"t": 80, "l": 0, "b": 0},
        scene={
            "aspectmode": "data",
            **{
                f"{side}axis": {**axis, "title": {"text": name}}
                for side, name in zip("xyz", names, strict=True)
            },
        },
    )  # fmt: skip
