"""Maps of the same words at every layer that move from one to the next, and what chance shows."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures import layer_map_panels as panels
from core.figures.groups import hue, scene, symbol
from core.figures.probe_family import state
from core.figures.theme import Look, colour, drawn, faint
from core.figures.wording import count, escaped, number, quoted, readable
from core.results.layer_map import LayerMap
from core.spec.errors import Error

VIEWS = ("map", "depth", "null")
HEIGHT = 620
MOST_TRACES = 24  # classes that are a trace, and so a line of the legend, each
SMOOTH = 1_500  # points up to which the browser itself moves them from layer to layer
MOST_NAMED = 60  # points whose words are written beside them
MOST_LINKS = 400
BETWEEN = 1_200_000  # numbers that frames between layers may hold in all
SECONDS = 0.6  # from a layer to the next
MARGIN = 1.08


def figure(
    result: LayerMap,
    look: Look,
    *,
    view: str = "map",
    layer: int | None = None,
    moving: bool = True,
    null: bool = True,
) -> go.Figure:
    """view    "map": the words, with a slider over the layers; "depth": explained share, silhouette
            and trustworthiness over the layers, each beside chance; "null": the map beside the one
            that shuffled labels give
    layer   depth that the map begins with, or that "null" shows; None: where classes are most apart
    moving  slider and play button over all layers; False: that layer alone
    null    words on axes of shuffled labels, grey, below the map

    A point's customdata is the number of its word, −1 of what is only chance.
    """
    if view not in VIEWS:
        raise Error(f"view is one of {', '.join(VIEWS)}, not {str(view)[:40]!r}")
    row = _row(result, layer)
    if view == "depth":
        return panels.depth(result, look, title(result))
    if view == "null":
        return panels.beside_null(result, look, row)
    first = [
        *_null(result, look, row, null),
        *_links(result, look, row),
        *_words(result, look, row),
    ]
    layout = _layout(result, look)
    if not moving or len(result.layers) < 2:
        named = f"{title(result)}; shown: {state(int(result.layers[row]))}"
        return drawn(first, look, title=named, height=HEIGHT, **layout)
    drawing = drawn(
        first, look, title=title(result), height=HEIGHT + 60,
        **{**layout, "margin": {**layout["margin"], "b": 110}},
        sliders=[_slider(result, look, row)], updatemenus=[_play(result, look)],
    )  # fmt: skip
    drawing.frames = _frames(result, null)
    return drawing


def title(result: LayerMap) -> str:
    """Where classes come apart, held out, beside chance; trustworthiness where there are none."""
    row = result.best
    where = state(int(result.layers[row]))
    what = f"{readable(result.concepts)[:40]}: {count(len(result.words), 'word')}"
    if np.isfinite(result.held_out[row]):
        low, high = _range(result.null_held_out[row])
        return (
            f"{what}, most apart behind {where}: silhouette of held-out words "
            f"{number(result.held_out[row])} (shuffled labels {low} to {high})"
        )
    if np.isfinite(result.silhouette[row]):
        low, high = _range(result.null_silhouette[row])
        return (
            f"{what}, most apart behind {where}: silhouette {number(result.silhouette[row])} "
            f"(shuffled labels {low} to {high})"
        )
    return (
        f"{what}; trustworthiness {number(result.trust[row])} behind {where} (random places "
        f"{number(result.null_trust[row])})"
    )


def caption(result: LayerMap) -> str:
    """How the axes were made, controls, sample and what was left out, in words."""
    how = {
        "classes": "axes are the principal components of class means",
        "layer": "axes are the principal components of each layer",
        "basis": f"axes are the principal components behind {state(result.basis)}, for all layers",
        "neighbours": "laid out by nearest neighbours; distances between clusters say nothing",
    }[result.mode]
    turned = "" if result.mode == "basis" else ", turned onto the layer before"
    held = ""
    if result.n_held_out:
        draws = result.null_held_out.shape[1]
        held = (
            f"; held out: {result.n_held_out} words, axes from the others; labels shuffled "
            f"{draws} times"
        )
    dropped = ""
    if result.dropped:
        dropped = f"; not read: {quoted(*(word for word, _ in result.dropped[:5]))}"
    notes = "".join(f"; {words}" for words in result.notes)
    return (
        f"{how}{turned}; states {result.prepare}, means over "
        f"{count(len(result.contexts), 'context')}, {result.read} piece; silhouettes of "
        f"{result.n_scored} words; trustworthiness over {result.n_neighbours} neighbours{held}; "
        f"seed {result.seed}{dropped}{notes}"
    )


def _range(null: np.ndarray) -> tuple[str, str]:
    return number(np.nanmin(null)), number(np.nanmax(null))


def _row(result: LayerMap, layer: int | None) -> int:
    if layer is None:
        return result.best
    there = result.layers.tolist()
    if layer not in there:
        raise Error(f"layer {str(layer)[:20]}: this answer has {there[0]} to {there[-1]}")
    return there.index(layer)


def _coordinates(places: np.ndarray) -> dict[str, np.ndarray]:
    """x, y and z of places [point, dims]."""
    return dict(zip("xyz", np.ascontiguousarray(places.T, dtype="float32"), strict=False))


def _parts(result: LayerMap) -> list[np.ndarray]:
    """Numbers of the words of each trace: a class each, or all of them."""
    if len(result.groups) > MOST_TRACES:
        return [np.arange(len(result.words))]
    return [np.flatnonzero(result.group == one) for one in range(len(result.groups))]


def _words(result: LayerMap, look: Look, row: int) -> list[Any]:
    deep, n = result.dims == 3, len(result.words)
    kind = go.Scatter3d if deep else go.Scatter if n <= SMOOTH else go.Scattergl
    named = n <= MOST_NAMED
    traces = []
    for number_, mine in enumerate(_parts(result)):
        classes = result.group[mine]
        single = len(result.groups) > MOST_TRACES
        marker: dict[str, Any] = {
            "size": (4 if deep else 9) if n < 300 else 3 if deep else 5,
            "opacity": 0.85,
            "color": [hue(one) for one in classes] if single else hue(number_),
            "symbol": [symbol(one, deep) for one in classes] if single else symbol(number_, deep),
        }
        traces.append(
            kind(
                **_coordinates(result.places[row, mine]),
                mode="markers+text" if named else "markers",
                text=[escaped(readable(result.words[one][:24])) for one in mine] if named else None,
                textposition="top center" if named else None,
                textfont={"size": 11, "color": colour("muted", look)} if named else None,
                name="words" if single else escaped(readable(result.groups[number_][:30])),
                legendgroup=str(number_),
                marker=marker,
                customdata=mine,
                hovertext=[_said(result, one) for one in mine],
                hovertemplate="%{hovertext}<extra></extra>",
                showlegend=not single and len(result.groups) > 1,
            )
        )
    return traces


def _said(result: LayerMap, item: int) -> str:
    """The word, its class, and where it stood."""
    parts = [f"<b>{escaped(readable(result.words[item][:120]))}</b>"]
    if len(result.groups) > 1:
        parts.append(escaped(readable(result.groups[int(result.group[item])][:40])))
    if result.contexts != ("{}",):
        more = f" and {len(result.contexts) - 1} more" if len(result.contexts) > 1 else ""
        parts.append(f"in “{escaped(readable(result.contexts[0][:50]))}”{more}")
    return "<br>".join(parts)


def gliding(
    result: LayerMap, *, null: bool = True
) -> tuple[np.ndarray, list[tuple[int, list[int]]]]:
    """What moves in a map of one layer, for a page that moves it itself.

    ([layer, point, dims], (number of a trace, its points) ...): first the words, then the grey
    ones, at last a gap between lines.
    """
    n, shown = len(result.words), len(result.null_item) if null else 0
    gap = np.full((len(result.layers), 1, result.dims), np.nan, dtype=np.float32)
    parts = [result.places, *([result.null_places] if shown else []), gap]
    traces: list[list[int]] = [list(range(n, n + shown))] if shown else []
    if len(result.pair):
        ends = [(int(a), int(b), n + shown) for a, b in result.pair[:MOST_LINKS]]
        traces.append([point for link in ends for point in link])
    traces += [[int(item) for item in mine] for mine in _parts(result)]
    return np.concatenate(parts, axis=1), list(enumerate(traces))


def _links(result: LayerMap, look: Look, row: int) -> list[Any]:
    """Lines between the halves of pairs, or along a cycle or line."""
    if not len(result.pair):
        return []
    kind = go.Scatter3d if result.dims == 3 else go.Scatter
    line = {"color": faint("control", look, 0.5), "width": 1 if len(result.pair) > 40 else 1.5}
    return [
        kind(
            **_coordinates(_joined(result, result.places[row])),
            mode="lines",
            line=line,
            hoverinfo="skip",
            showlegend=False,
        )
    ]


def _joined(result: LayerMap, places: np.ndarray) -> np.ndarray:
    """Both ends of every link with a gap behind them, [point, dims]."""
    ends = places[result.pair[:MOST_LINKS]]  # [link, 2, dims]
    gap = np.full((len(ends), 1, places.shape[1]), np.nan)
    found: np.ndarray = np.concatenate([ends, gap], axis=1).reshape(-1, places.shape[1])
    return found


def _null(result: LayerMap, look: Look, row: int, null: bool) -> list[Any]:
    if not null or not len(result.null_item):
        return []
    kind = go.Scatter3d if result.dims == 3 else go.Scattergl
    if result.dims == 2 and len(result.words) <= SMOOTH:
        kind = go.Scatter
    return [
        kind(
            **_coordinates(result.null_places[row]),
            mode="markers",
            name="axes of shuffled labels",
            marker={"size": 3 if result.dims == 3 else 5, "color": faint("control", look, 0.3)},
            customdata=np.full(len(result.null_item), -1),
            hoverinfo="skip",
        )
    ]


def _spans(result: LayerMap) -> list[float]:
    """Of every axis, how far the words of any layer lie from the middle."""
    found = np.abs(result.places).max(axis=(0, 1), initial=1e-9)
    if result.null_places.size:
        found = np.maximum(found, np.abs(result.null_places).max(axis=(0, 1)))
    return [float(MARGIN * one) for one in found]


def _layout(result: LayerMap, look: Look) -> dict[str, Any]:
    """Fixed ranges: a move of a point is a move of its state, never of the axes."""
    spans = _spans(result)
    names = ["first axis", "second axis", "third axis"][: result.dims]
    shared: dict[str, Any] = {
        "showlegend": True,
        "margin": {"t": 48},
        "legend": {"orientation": "v", "x": 1.01, "y": 1, "yanchor": "top", "font": {"size": 11}},
    }
    if result.dims == 3:
        near = {"eye": {"x": 1.0, "y": 1.0, "z": 0.7}}
        room = scene([f"{name} (no unit)" for name in names], look, camera=near)
        for axis in ("xaxis", "yaxis", "zaxis"):
            room[axis] |= {"range": [-max(spans), max(spans)], "showticklabels": False}
        return {**shared, "scene": room, "margin": {"t": 48, "l": 8, "r": 8}}
    across, up = ({"range": [-span, span], "showticklabels": False} for span in spans)
    return {
        **shared,
        "dragmode": "lasso",
        "xaxis": {"title": {"text": f"{names[0]} (no unit)"}, **across},
        "yaxis": {"title": {"text": f"{names[1]} (no unit)"}, **up, "scaleanchor": "x"},
    }  # fmt: skip


def _steps(result: LayerMap) -> int:
    """Frames from a layer to the next: one where the browser moves the points itself."""
    if result.dims == 2 and len(result.words) <= SMOOTH:
        return 1
    each = result.places[0].size + result.null_places[0].size
    return max(1, min(6, BETWEEN // max(1, each * len(result.layers))))


def _frames(result: LayerMap, null: bool) -> list[go.Frame]:
    """A frame for every layer, named by its depth, and some between where points do not glide."""
    steps, found = _steps(result), []
    for row, depth in enumerate(result.layers.tolist()):
        for step in range(steps if row + 1 < len(result.layers) else 1):
            share = step / steps
            after = min(row + 1, len(result.layers) - 1)
            places = (1 - share) * result.places[row] + share * result.places[after]
            shown = (1 - share) * result.null_places[row] + share * result.null_places[after]
            name = str(depth) if step == 0 else f"{depth}+{step}"
            found.append(go.Frame(name=name, data=_moved(result, places, shown, null)))
    return found


def _moved(
    result: LayerMap, places: np.ndarray, shown: np.ndarray, null: bool
) -> list[dict[str, Any]]:
    """The coordinates of every trace of the figure, in their order."""
    kind = "scatter3d" if result.dims == 3 else "scatter"
    gl = "scattergl" if result.dims == 2 and len(result.words) > SMOOTH else kind
    traces = []
    if null and len(result.null_item):
        traces.append({"type": gl, **_coordinates(shown)})
    if len(result.pair):
        traces.append({"type": kind, **_coordinates(_joined(result, places))})
    traces += [{"type": gl, **_coordinates(places[mine])} for mine in _parts(result)]
    return traces


def _slider(result: LayerMap, look: Look, row: int) -> dict[str, Any]:
    depths = result.layers.tolist()
    glide = {"duration": 1_000 * SECONDS / 2, "easing": "cubic-in-out"}
    how = {
        "mode": "immediate",
        "transition": glide if _steps(result) == 1 else {"duration": 0},
        "frame": {"duration": 1_000 * SECONDS / 2, "redraw": result.dims == 3},
    }
    labels = ["emb" if depth == 0 else f"L{depth - 1}" for depth in depths]
    return {
        "active": row,
        "x": 0,
        "len": 1,
        "y": 0,
        "yanchor": "top",
        "pad": {"t": 34, "b": 4, "l": 110},
        "currentvalue": {
            "prefix": "shown: ",
            "font": {"size": 13, "color": colour("text", look)},
            "xanchor": "left",
        },
        "font": {"size": 11, "color": colour("muted", look)},
        "bgcolor": colour("hairline", look),
        "bordercolor": colour("hairline", look),
        "activebgcolor": colour("a", look),
        "tickcolor": colour("hairline", look),
        "steps": [
            {"label": label, "method": "animate", "args": [[str(depth)], how]}
            for label, depth in zip(labels, depths, strict=True)
        ],
    }


def _play(result: LayerMap, look: Look) -> dict[str, Any]:
    steps = _steps(result)
    each = 1_000 * SECONDS / steps
    how = {
        "fromcurrent": True,
        "frame": {"duration": each, "redraw": result.dims == 3},
        "transition": {"duration": each if steps == 1 else 0, "easing": "linear"},
    }
    stop = {"mode": "immediate", "frame": {"duration": 0, "redraw": False},
            "transition": {"duration": 0}}  # fmt: skip
    return {
        "type": "buttons",
        "direction": "left",
        "showactive": False,
        "x": 0,
        "xanchor": "left",
        "y": 0,
        "yanchor": "top",
        "pad": {"t": 44, "r": 8},
        "bgcolor": colour("panel", look),
        "bordercolor": colour("hairline", look),
        "font": {"size": 12, "color": colour("text", look)},
        "buttons": [
            {"label": "▶", "method": "animate", "args": [None, how]},
            {"label": "❚❚", "method": "animate", "args": [[None], stop]},
        ],
    }
