"""The same colours and axes in every column: a value looks alike in all models compared.

Ends are those of the colours of heat maps, and of axes of numbers; those of names are left.

A column is drawn before the next one's values are known, so the ends of every scale are kept from
run to run, and a run in which they grew is followed by one more, which answers from memory.
"""

from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from pages.shared import sides, state

_ENDS = "_scale_ends"  # chart: {letter: ends of each of its scales}
_USED = "_scale_used"  # chart: ends that were drawn in this run
MOST = 64
LINES = ("scatter", "scattergl", "bar")
ROOM = 0.05  # of an axis, beyond the outermost point
End = tuple[float, float]
Ends = tuple[End, ...]
OWN: End = (-np.inf, np.inf)  # left to the figure, in every column


def shared(fig: go.Figure, key: str) -> go.Figure:
    """The figure with the scales of its counterparts in the other columns; itself for one model."""
    if not sides.comparing():
        return fig
    side = sides.here()
    base = key.replace(f"_on_{side.letter}", "")
    own = _ends(fig)
    if not own:
        return fig
    kept: dict[str, dict[str, Ends]] = st.session_state.setdefault(_ENDS, {})
    charts = kept.pop(base, {})
    letters = sides.LETTERS[: side.of]
    kept[base] = {k: v for k, v in charts.items() if k in letters} | {side.letter: own}
    while len(kept) > MOST:
        kept.pop(next(iter(kept)))
    union = _union(kept[base])
    if len(union) != len(own):
        return fig
    st.session_state.setdefault(_USED, {})[base, side.letter] = union
    return fig if len(kept[base]) == 1 else _with_ends(fig, union)


def settle() -> None:
    """At the end of a page: run once more when a later column widened a scale of an earlier one."""
    used: dict[tuple[str, str], Ends] = st.session_state.pop(_USED, {})
    kept: dict[str, dict[str, Ends]] = st.session_state.get(_ENDS, {})
    if any(union != _union(kept[base]) for (base, _), union in used.items() if base in kept):
        state.rerun()


def _ends(fig: go.Figure) -> Ends:
    """Ends of the colours of every heat map, then of every axis that has none of its own."""
    found = [_colours(trace) for trace in fig.data if _coloured(trace)]
    return tuple(found) + tuple(_extent(fig, axis) for axis in _axes(fig))


def _coloured(trace: Any) -> bool:
    return bool(trace.type == "heatmap" and trace.coloraxis is None)


def _colours(trace: Any) -> End:
    low, high = trace.zmin, trace.zmax
    if low is None or high is None:
        values = np.asarray(trace.z, dtype=float)
        values = values[np.isfinite(values)]
        low, high = (values.min(), values.max()) if values.size else (0.0, 1.0)
    return float(low), float(high)


def _axes(fig: go.Figure) -> list[str]:
    """Axes ("x", "y2") of points, lines and bars; of others the figure says the range."""
    drawn = [trace for trace in fig.data if trace.type in LINES]
    return sorted({(getattr(t, f"{way}axis", None) or way) for t in drawn for way in "xy"})


def _extent(fig: go.Figure, axis: str) -> End:
    """Least and largest number on the axis; NaN where it is not one of plain numbers."""
    own = fig.layout.to_plotly_json().get(f"{axis[0]}axis{axis[1:]}", {})
    if own.get("type", "linear") != "linear" or {"autorange", "ticktext"} & set(own):
        return OWN
    if "range" in own:
        low, high = own["range"]
        return (float(low), float(high)) if low < high else OWN
    if fig.layout.barmode in ("stack", "relative"):
        return OWN
    values: list[np.ndarray] = [np.zeros(int(own.get("rangemode") == "tozero"))]
    for trace in fig.data:
        if (getattr(trace, f"{axis[0]}axis", None) or axis[0]) != axis:
            continue
        if (
            trace.type not in LINES
            or trace[f"error_{axis[0]}"].array is not None
            or (trace.type == "scatter" and trace.stackgroup)
        ):
            return OWN  # the figure alone knows the room it needs
        given = np.asarray(trace[axis[0]])
        if given.dtype.kind not in "iufb":
            return OWN
        values.append(given.astype(float).ravel())
        if trace.type == "bar" and (trace.orientation == "h") == (axis[0] == "x"):
            values.append(np.zeros(1))
    known = np.concatenate(values)
    known = known[np.isfinite(known)]
    return (float(known.min()), float(known.max())) if known.size else OWN


def _union(of: dict[str, Ends]) -> Ends:
    """Ends that hold those of every column; () where charts have other numbers of scales."""
    if len({len(ends) for ends in of.values()}) != 1:
        return ()
    return tuple(
        (min(low for low, _ in column), max(high for _, high in column))
        for column in zip(*of.values(), strict=True)
    )


def _with_ends(fig: go.Figure, ends: Ends) -> go.Figure:
    made = go.Figure(fig)
    place = iter(ends)
    trace: Any
    for trace in made.data:
        if _coloured(trace):
            trace.zmin, trace.zmax = next(place)
    for axis, (low, high) in zip(_axes(fig), place, strict=True):
        if np.isfinite(low) and np.isfinite(high):
            name = f"{axis[0]}axis{axis[1:]}"
            said = "range" in fig.layout.to_plotly_json().get(name, {})
            room = 0.0 if said else ROOM * (high - low) or 1.0
            around = [low - room if low else 0.0, high + room if high else 0.0]
            made.update_layout({name: {"range": around}})
    return made
