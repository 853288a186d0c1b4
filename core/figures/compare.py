"""Two models layer by layer: a map of every pair of layers, lines of corresponding ones."""

import numpy as np
import plotly.graph_objects as go

from core.figures import grid, lines
from core.figures.probe_family import layers, state
from core.figures.theme import BOTTOM, TOP, UNSIGNED, Look, colour, colour_bar, drawn, note, signed
from core.figures.wording import count, escaped, number
from core.results.compare import Compare
from core.spec.errors import Error

MAPS = {"cka": "CKA", "rsa": "RSA (Spearman)", "overlap": "shared neighbours (Jaccard)"}
VIEWS = (*MAPS, "likeness", "maps", "distance", "items")
MOST_ITEMS = 24
_TEXT_UP_TO = 14  # layers whose cells hold their number


def figure(
    result: Compare, look: Look, *, view: str = "cka", layer: int | None = None
) -> go.Figure:
    """One view of the comparison, its control beside it.

    view   "cka", "rsa", "overlap": every layer against every layer, the control at its right;
           "likeness", "maps", "distance": lines over corresponding layers, controls dashed;
           "items": the texts that the map from here to there says worst, at `layer`
    """
    if view not in VIEWS:
        raise Error(f"a comparison is seen as {', '.join(VIEWS)}, not {str(view)[:20]!r}")
    if view in MAPS:
        return _map(result, look, view)
    if view == "items":
        return _items(result, look, layer)
    return {"likeness": _likeness, "maps": _maps, "distance": _distance}[view](result, look)


def _map(result: Compare, look: Look, view: str) -> go.Figure:
    values, control, words = _beside(result, view)
    limits = (-1.0, 1.0) if view == "rsa" else (0.0, 1.0)
    scale = signed(look) if view == "rsa" else UNSIGNED
    names = [escaped(name[:24]) for name in result.models]
    traces = []
    for place, part in enumerate((values, control)):
        traces.append(
            grid.cells(
                part.astype("float32"),
                scale=scale,
                limits=limits,
                hover=_hover(result, view, part, words if place else ""),
                text=None if place else _shown(result, view),
                bar=None if place else colour_bar(MAPS[view], look, x=1.0),
                xaxis="x2" if place else "x",
            )
        )
    there = values.shape[1]
    axis = layers(there)
    tall = grid.rows_height(len(values), least=8)
    return drawn(
        traces,
        look,
        title=title(result, view=view),
        height=TOP + tall + BOTTOM + 60,
        margin={"t": TOP + 24, "r": 70},
        annotations=[
            note(escaped(f"control: {words}"), look, x=0.81, y=1.01, xref="paper", yref="paper",
                 xanchor="center", yanchor="bottom"),
        ],
        xaxis={**axis, "title": {"text": f"{names[1]}, behind"}, "domain": [0, 0.58]},
        xaxis2={**axis, "title": {"text": f"{names[1]}, behind"}, "domain": [0.65, 0.97]},
        yaxis={**layers(len(values)), "title": {"text": f"{names[0]}, behind"}},
    )  # fmt: skip


def _beside(result: Compare, view: str) -> tuple[np.ndarray, np.ndarray, str]:
    """Values, control and what the control is."""
    if view == "cka" and np.isfinite(result.fresh_cka).any():
        return result.cka, result.fresh_cka, "fresh weights"
    control = {"cka": result.control_cka, "rsa": result.control_rsa}.get(
        view, result.control_overlap
    )
    return getattr(result, view), control, "items in random order"


def _shown(result: Compare, view: str) -> np.ndarray | None:
    values = getattr(result, view)
    if max(values.shape) > _TEXT_UP_TO:
        return None
    sure = result.beyond(view)
    rows = [
        [
            "–" if np.isnan(v) else f"{v:.2f}" if s else f"({v:.2f})"
            for v, s in zip(*row, strict=True)
        ]
        for row in zip(values, sure, strict=True)
    ]
    return np.array(rows, dtype=object)


def _hover(result: Compare, view: str, values: np.ndarray, control: str) -> np.ndarray:
    one, two = (escaped(name[:40]) for name in result.models)
    rows: list[list[str]] = []
    for i, row in enumerate(values):
        rows.append([])
        for j, value in enumerate(row):
            words = f"{one} behind {state(i)}<br>{two} behind {state(j)}<br>"
            words += f"{control or MAPS[view]}: {number(value)}"
            rows[-1].append(words + ("" if control else _rest(result, view, i, j)))
    return np.array(rows, dtype=object)


def _rest(result: Compare, view: str, i: int, j: int) -> str:
    """What stands beside a value."""
    if view == "overlap":
        return (
            f"<br>items in random order {number(result.control_overlap[i, j])}, "
            f"random neighbours {number(result.chance_overlap)}"
        )
    if view == "rsa":
        return (
            f"<br>beyond length and common words {number(result.partial_rsa[i, j])}<br>"
            f"95 % of shuffles below {number(result.control_rsa_high[i, j])}, "
            f"p {number(result.rsa_p[i, j])}<br>each model with itself "
            f"{number(result.ceiling_here[i])} and {number(result.ceiling_there[j])}"
        )
    return (
        f" ± {number(result.cka_error[i, j])}<br>95 % of shuffles below "
        f"{number(result.control_cka_high[i, j])}<br>fresh weights {number(result.fresh_cka[i, j])}"
    )


def _at(result: Compare, values: np.ndarray) -> np.ndarray:
    """The cells of corresponding layers."""
    return values[np.arange(len(values)), result.counterpart]


def _likeness(result: Compare, look: Look) -> go.Figure:
    measures = (
        ("CKA", _at(result, result.cka), _at(result, result.control_cka), "a"),
        ("RSA", _at(result, result.rsa), _at(result, result.control_rsa), "b"),
        ("Procrustes", result.procrustes, result.control_procrustes, "c"),
        ("SVCCA", result.svcca, result.control_svcca, "clamped"),
        ("neighbours", _at(result, result.overlap), _at(result, result.control_overlap), "warning"),
    )
    return _drawn(result, look, measures, "likeness, 1 is alike", [-0.1, 1.05])


def _maps(result: Compare, look: Look) -> go.Figure:
    one, two = (name[:18] for name in result.models)
    chance = np.full(len(result.counterpart), result.chance_at1)
    measures = (
        (f"R², {one} to {two}", result.map_r2[0], result.control_map_r2[0], "a"),
        (f"R², {two} to {one}", result.map_r2[1], result.control_map_r2[1], "b"),
        ("own item nearest", result.map_at1[0], chance, "c"),
    )
    return _drawn(result, look, measures, "held-out items", [-0.15, 1.05])


def _distance(result: Compare, look: Look) -> go.Figure:
    measures = []
    if len(result.state_distance):
        measures.append(("states", result.state_distance, result.control_state_distance, "a"))
    for part, role in (("attention", "b"), ("mlp", "c"), ("embedding", "warning")):
        if part in result.weight_parts:
            column = result.weight_parts.index(part)
            measures.append(
                (f"weights, {part}", result.weight_distance[:, column],
                 result.control_weight_distance[:, column], role)
            )  # fmt: skip
    if not measures:
        raise Error(next((words for words in result.notes if "distances" in words), "no distances"))
    return _drawn(result, look, tuple(measures), "distance over mean length", [-0.05, 1.65])


def _drawn(
    result: Compare,
    look: Look,
    measures: tuple[tuple[str, np.ndarray, np.ndarray, str], ...],
    words: str,
    span: list[float],
) -> go.Figure:
    """A line a measure over the layers of the first model; dashed in its colour, the control."""
    x = np.arange(len(result.counterpart))
    traces = []
    for name, values, control, role in measures:
        traces.append(lines.curve(x, values, look, role=role, name=name))
        traces.append(
            lines.curve(x, control, look, role=role, name=f"{name}, control", dash="dash",
                        symbol="x", showlegend=False)
        )  # fmt: skip
    low = min(
        [span[0], *(float(np.nanmin(v)) - 0.05 for _, v, _, _ in measures if np.isfinite(v).any())]
    )
    return drawn(
        traces,
        look,
        title=title(result, view="likeness"),
        height=400,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 110},
        xaxis={**layers(len(x)), "title": {"text": f"{escaped(result.models[0][:24])}, behind"}},
        yaxis={"title": {"text": words}, "range": [low, span[1]]},
    )


def _items(result: Compare, look: Look, layer: int | None) -> go.Figure:
    row = int(np.nan_to_num(result.map_r2[0], nan=-1).argmax()) if layer is None else layer
    error = result.map_error[row]
    order = np.argsort(-error, kind="stable")[:MOST_ITEMS]
    shown = [_short(result.item(int(i))) for i in order]
    y = np.arange(len(order))
    every = np.quantile(result.map_error[row], (0.25, 0.75))
    return drawn(
        [
            lines.ranges(np.full(len(y), every[0]), np.full(len(y), every[1]), y, look,
                         name="middle half of all items", showlegend=True),
            go.Scatter(
                x=error[order], y=y, mode="markers", name="error", showlegend=False,
                marker={"size": 9, "color": colour("a", look)},
                hovertext=[escaped(result.item(int(i))) for i in order],
                hovertemplate="%{hovertext}<br>error %{x:.3~g}<extra></extra>",
            ),
        ],
        look,
        title=f"Items that the linear map behind {state(row)} says worst",
        height=TOP + 40 + BOTTOM + 22 * len(order),
        margin={"t": 84},
        legend={"y": 1.02},
        showlegend=True,
        xaxis={"title": {"text": "squared error over the mean squared distance"},
               "rangemode": "tozero"},
        yaxis=lines.rows_axis(shown),
    )  # fmt: skip


def _short(text: str) -> str:
    return text if len(text) <= 46 else "… " + text[-44:]


def title(result: Compare, *, view: str = "cka") -> str:
    """The best pair of layers and how corresponding ones do, in words."""
    one, two = result.models
    if result.within:
        near = np.diagonal(result.cka, 1)
        least = int(np.nanargmin(near)) if np.isfinite(near).any() else 0
        return (
            f"{one} layer by layer: most changes from {state(least)} to {state(least + 1)}, "
            f"CKA {number(near[least])}"
        )
    if result.same:
        return f"{one} twice: the same model, so every layer is its own counterpart"
    values = getattr(result, view) if view in MAPS else result.cka
    name = MAPS.get(view, MAPS["cka"]).partition(" (")[0]
    along = _at(result, values)
    return (
        f"{one} and {two}: {name} of corresponding layers {number(np.nanmin(along))} to "
        f"{number(np.nanmax(along))}"
    )


def caption(result: Compare) -> str:
    """The controls and the sample, in words."""
    shuffled = f"items in random order {result.n_shuffles} times: CKA below "
    shuffled += f"{number(np.nanmax(result.control_cka_high))} in 95 %"
    parts = [f"{count(result.n_items, 'item')} ({result.source}), {_position(result)}"]
    parts.append(f"prepared by {result.prepare}")
    parts.append(f"control, {shuffled}")
    if np.isfinite(result.fresh_cka).any():
        mean = np.nanmean(_at(result, result.fresh_cka))
        parts.append(f"fresh weights {number(mean)} for corresponding layers")
    parts.append(f"seed {result.seed}")
    return "; ".join([*parts, *result.notes])


def _position(result: Compare) -> str:
    return {
        "last": "their last tokens",
        "mean": "means over their tokens",
        "token": "tokens behind which both have read the same characters",
    }[result.position]
