"""The same colours and axes in every column: a value looks alike in all models compared.

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
Ends = tuple[tuple[float, float], ...]


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
    return fig if union == own else _with_ends(fig, union)


def settle() -> None:
    """At the end of a page: run once more when a later column widened a scale of an earlier one."""
    used: dict[tuple[str, str], Ends] = st.session_state.pop(_USED, {})
    kept: dict[str, dict[str, Ends]] = st.session_state.get(_ENDS, {})
    if any(union != _union(kept[base]) for (base, _), union in used.items() if base in kept):
        state.rerun()


def _ends(fig: go.Figure) -> Ends:
    """Ends of the colours of every heat map."""
    found = []
    for trace in fig.data:
        if trace.type == "heatmap" and trace.coloraxis is None:
            low, high = trace.zmin, trace.zmax
            if low is None or high is None:
                values = np.asarray(trace.z, dtype=float)
                values = values[np.isfinite(values)]
                low, high = (values.min(), values.max()) if values.size else (0.0, 1.0)
            found.append((float(low), float(high)))
    return tuple(found)


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
        if trace.type == "heatmap" and trace.coloraxis is None:
            trace.zmin, trace.zmax = next(place)
    return made
