"""Concept vectors at one layer: their cosines with chance marked, and their items in the plane."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures import grid
from core.figures.groups import hue, scene, symbol
from core.figures.theme import BOTTOM, TOP, Look, colour, colour_bar, drawn, signed
from core.figures.wording import count, escaped, number, readable, visible
from core.results.geometry import Geometry
from core.spec.errors import Error

VIEWS = ("cosine", "map")
HEIGHT = 520
SURE = 0.05  # p below which a cell is marked
NAME = 26  # characters of a concept's name on an axis
MOST_TEXT = 16  # concepts up to which cells carry their number


def figure(result: Geometry, look: Look, *, view: str = "") -> go.Figure:
    """view  "cosine": concept by concept, a number in brackets where chance gives as much;
    "map": positive items on the first components of all items. "": the first of these, the
    second for a single concept
    """
    view = view or ("cosine" if len(result.concepts) > 1 else "map")
    if view not in VIEWS:
        raise Error(f"view is one of {', '.join(VIEWS)}, not {str(view)[:40]!r}")
    return _map(result, look) if view == "map" else _cosines(result, look)


def title(result: Geometry) -> str:
    """The pair furthest from chance, in words."""
    where = f"{count(len(result.concepts), 'concept')} at {result.site}"
    first, second = np.triu_indices(len(result.concepts), k=1)
    if not len(first):
        return where
    far = np.abs(result.cosine - result.control_cosine)[first, second]
    one, other = first[far.argmax()], second[far.argmax()]
    sure = int((result.p[first, second] <= SURE).sum())
    return (
        f"{where}: {_name(result, one)} and {_name(result, other)} are furthest from chance, "
        f"cosine {number(result.cosine[one, other])} (chance "
        f"{number(result.control_cosine[one, other])} ± "
        f"{number(result.control_spread[one, other])}); "
        f"{sure} of {len(first)} pairs beyond 95 % of chance"
    )


def caption(result: Geometry) -> str:
    """Sample, preprocessing and control, in words."""
    dropped = f"; {count(len(result.dropped), 'item')} not read" if result.dropped else ""
    texts = "texts as they are" if result.contexts == ("{}",) else (
        f"words in {count(len(result.contexts), 'context')}"
    )  # fmt: skip
    return (
        f"{count(sum(result.n_positive), 'positive item')}, "
        f"{count(sum(result.n_negative), 'negative')}; {texts}, {result.read} token; items "
        f"{result.prepare}; chance: items dealt out anew {result.n_draws} times, seed "
        f"{result.seed}; in brackets: as far from chance in more than 1 of 20 draws{dropped}"
    )


def _name(result: Geometry, place: int) -> str:
    return visible(result.concepts[place], NAME)


def _cosines(result: Geometry, look: Look) -> go.Figure:
    n = len(result.concepts)
    sure = result.p <= SURE
    np.fill_diagonal(sure, True)
    text = np.array(
        [
            [f"{v:.2f}" if clear else f"({v:.2f})" for v, clear in zip(row, clears, strict=True)]
            for row, clears in zip(result.cosine, sure, strict=True)
        ],
        dtype=object,
    )
    hover = np.array([[_cell(result, i, j) for j in range(n)] for i in range(n)], dtype=object)
    cells = grid.cells(
        result.cosine.astype("float32"),
        scale=signed(look),
        limits=(-1.0, 1.0),
        hover=hover,
        text=text if n <= MOST_TEXT else None,
        bar=colour_bar("cosine", look),
    )
    traces: list[Any] = [cells]
    if n > MOST_TEXT:
        rows, columns = np.nonzero(sure & ~np.eye(n, dtype=bool))
        traces.append(
            go.Scatter(
                x=columns, y=rows, mode="markers", hoverinfo="skip",
                marker={"size": 4, "color": colour("background", look),
                        "line": {"color": colour("text", look), "width": 1}},
            )
        )  # fmt: skip
    names = [_name(result, place) for place in range(n)]
    axis = {
        "tickmode": "array", "tickvals": list(range(n)), "ticktext": [escaped(x) for x in names],
        "showgrid": False,
    }  # fmt: skip
    return drawn(
        traces,
        look,
        title=title(result),
        height=max(320, TOP + BOTTOM + 80 + 26 * n),
        xaxis={**axis, "title": {"text": "concept"}, "autotickangles": [0, -45, -90]},
        yaxis={**axis, "title": {"text": "concept"}, "autorange": "reversed"},
    )


def _cell(result: Geometry, i: int, j: int) -> str:
    names = f"<b>{escaped(_name(result, i))}</b>, {escaped(_name(result, j))}"
    if i == j:
        half = number(result.split_half[i])
        sizes = f"{result.n_positive[i]} items"
        if result.n_negative[i]:
            sizes += f" against {result.n_negative[i]}"
        return f"<b>{escaped(_name(result, i))}</b><br>{sizes}<br>two halves agree: cosine {half}"
    return (
        f"{names}<br>cosine {number(result.cosine[i, j])}<br>chance "
        f"{number(result.control_cosine[i, j])} ± {number(result.control_spread[i, j])}"
        f"<br>p {number(result.p[i, j])}"
    )


def _map(result: Geometry, look: Look) -> go.Figure:
    deep = result.projection.shape[1] == 3
    traces = []
    for place in range(len(result.concepts)):
        mine = np.flatnonzero(result.concept_of == place)
        where = result.projection[mine]
        axes = dict(zip("xyz", where.T.astype("float32"), strict=False))
        name = escaped(_name(result, place))
        marker = {
            "size": 4 if deep else 8,
            "color": hue(place),
            "symbol": symbol(place, deep),
            "opacity": 0.85,
        }
        kind = go.Scatter3d if deep else go.Scatter
        traces.append(
            kind(
                **axes,
                mode="markers",
                name=name,
                marker=marker,
                customdata=mine,
                hovertext=[
                    f"{escaped(readable(result.items[one][:80]))}<br>{name}" for one in mine
                ],
                hovertemplate="%{hovertext}<extra></extra>",
            )
        )
    labels = [
        f"component {place + 1}, {share:.0%} of the variance"
        for place, share in enumerate(result.explained)
    ]
    shared: dict[str, Any] = {
        "title": title(result), "height": HEIGHT, "showlegend": len(traces) <= 30,
    }  # fmt: skip
    if deep:
        return drawn(traces, look, scene=scene(labels, look), **shared)
    return drawn(
        traces,
        look,
        xaxis={"title": {"text": labels[0]}},
        yaxis={"title": {"text": labels[1]}},
        legend={"y": 1.01},
        margin={"t": 90},
        **shared,
    )
