"""Depth under noise and coarser weights: curves, and how far the rise moves."""

import numpy as np
import plotly.graph_objects as go

from core.figures.lines import band, curve, dots, ranges, rows_axis
from core.figures.probe_family import layers, state
from core.figures.theme import Look, colour, drawn, note
from core.figures.wording import count, escaped, number, readable
from core.results.depth_noise import DepthNoise
from core.spec.errors import Error

VIEWS = ("learned anew", "learned clean", "shift", "moved")
NAMES = {
    "clean": "clean",
    "other folds": "clean, other folds",
    "letters": "letters in front",
    "typos": "typing errors",
    "sentence": "a sentence before",
    "words": "random words before",
    "16 bits": "weights of 16 bits",
    "8 bits": "weights of 8 bits",
    "4 bits": "weights of 4 bits",
}
_ROLES = ("b", "c", "clamped", "weight", "warning")
_DASHES = ("dash", "dot", "dashdot", "longdash")


def figure(result: DepthNoise, look: Look, *, view: str = "learned anew") -> go.Figure:
    """AUC by layer of every condition; grey: shuffled labels.

    view  "learned anew" under the condition, or "learned clean" and asked under it; "shift" of the
          half-rise and of the peak; "moved": how far the states go
    """
    if view not in VIEWS:
        raise Error(f"the figure can show {', '.join(VIEWS)}, not {view[:20]!r}")
    if view == "shift":
        return _shift(result, look)
    values = {"learned anew": result.auc, "learned clean": result.kept_auc}
    return _curves(result, look, values.get(view, result.moved), view)


def title(result: DepthNoise) -> str:
    """What moves the rise, in words."""
    name = readable(result.concept)[:60]
    if not result.readable:
        return f"{name}: not readable on clean texts, so no noise can move it"
    said = [f"{name}: half-rise at layer {number(result.point[0, 0])}"]
    for point, words, moved in ((0, "later", result.delayed), (1, "lower", result.lowered)):
        found = [
            f"{NAMES.get(one, one)} ({_signed(result.shift[row, point])})"
            for row, one in enumerate(result.conditions)
            if row > 1 and moved(row)
        ]
        if found:
            said.append(f"{words} with {', '.join(found)}")
    return "; ".join(said if len(said) > 1 else [*said, "no change moves it beyond chance"])


def caption(result: DepthNoise) -> str:
    """The controls and the sample, in words."""
    row = int(result.auc[0].argmax())
    return "; ".join(
        [
            f"logistic probe, C = {number(result.c)}, state at {result.position}; "
            f"{count(result.n_texts, 'text')}, {result.n_positive} {result.positive}, "
            f"{count(result.n_groups, 'group')} in {result.n_folds} folds, the same for all",
            f"control: other folds move the half-rise by {_signed(result.shift[1, 0])} and the "
            f"peak by {_signed(result.shift[1, 1])}; labels shuffled {result.n_shuffles} times "
            f"{number(result.control_auc[:, row].mean())} at {state(row)}, floor "
            f"{number(np.nanmax(result.floor_auc))}",
            "weights: the matrices of the blocks rounded by output row (16 bits: bfloat16), "
            "emulated, the arithmetic as before",
            f"seed {result.seed}",
            *result.notes,
        ]
    )


def _signed(value: float) -> str:
    if not np.isfinite(value):
        return "–"
    return f"{'+' if value >= 0 else '−'}{number(abs(float(value)))}"


def _curves(result: DepthNoise, look: Look, values: np.ndarray, view: str) -> go.Figure:
    x = np.arange(result.n_layers + 1)
    traces: list[go.Scatter] = []
    moved = view == "moved"
    if not moved:
        low, high = np.quantile(result.control_auc, (0.05, 0.95), axis=0)
        traces += band(x, low, high, look, role="control", alpha=0.3)
        traces[-1].update(name="shuffled labels, 90 %", showlegend=True)
        traces += band(x, result.auc_low[0], result.auc_high[0], look, role="a")
    for row, name in enumerate(result.conditions):
        if moved and row < 2:
            continue
        role = "a" if row == 0 else "control" if row == 1 else _ROLES[(row - 2) % len(_ROLES)]
        dash = "solid" if row == 0 else _DASHES[(row - 1) % len(_DASHES)]
        traces.append(curve(x, values[row], look, role=role, name=NAMES.get(name, name), dash=dash))
    words = {"learned anew": "learned and asked under each change",
             "learned clean": "learned clean, asked under each change",
             "moved": "how far each change moves the states"}[view]  # fmt: skip
    axis = {"title": {"text": "distance over spread" if moved else "held-out AUC"}}
    if not moved:
        axis["range"] = [min(0.35, float(np.nanmin(values)) - 0.05), 1.03]  # type: ignore[assignment]
    return drawn(
        traces,
        look,
        title=title(result) if view == "learned anew" else f"{escaped(result.concept)}: {words}",
        height=400,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 118},
        xaxis=layers(len(x)),
        yaxis=axis,
    )


def _shift(result: DepthNoise, look: Look) -> go.Figure:
    """How far half-rise (left) and peak (right) move, with their intervals."""
    rows = np.arange(len(result.conditions) - 1, dtype=float)
    traces: list[go.Scatter] = []
    shapes = []
    for number_, (name, unit, axis) in enumerate(
        (("half-rise", "layers", ""), ("peak", "AUC", "2"))
    ):
        values, low, high = (
            each[1:, number_] for each in (result.shift, result.shift_low, result.shift_high)
        )
        grey = ranges(
            np.full(len(rows), low[0]), np.full(len(rows), high[0]), rows, look,
            name="clean, other folds", showlegend=not axis, xaxis=f"x{axis}",
        )  # fmt: skip
        own = dots(
            values, rows, look, role="a", name=f"shift of the {name}", unit=unit, low=low,
            high=high, xaxis=f"x{axis}", showlegend=False,
        )  # fmt: skip
        traces += [grey, own]
        shapes.append(
            {"type": "line", "layer": "below", "x0": 0, "x1": 0, "xref": f"x{axis}", "y0": 0,
             "y1": 1, "yref": "y domain",
             "line": {"color": colour("muted", look), "width": 1, "dash": "dot"}}
        )  # fmt: skip
    names = [NAMES.get(one, one) for one in result.conditions[1:]]
    return drawn(
        traces,
        look,
        title=title(result),
        height=150 + 30 * len(names),
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 100, "l": 150},
        shapes=shapes,
        annotations=[] if result.readable else [
            note("not readable: a shift means nothing", look, x=0.5, xref="paper", y=1,
                 yref="paper", yanchor="bottom")
        ],
        xaxis={"title": {"text": "half-rise, layers later"}, "domain": [0, 0.47]},
        xaxis2={"title": {"text": "peak, AUC higher"}, "domain": [0.53, 1], "anchor": "y"},
        yaxis=rows_axis(names),
    )  # fmt: skip
