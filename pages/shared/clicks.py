"""Clicks and keys on any Plotly chart, told to the page.

The chart is Streamlit's own; a small part beside it listens to its Plotly events and draws
the ring in the browser, so that the figure sent by Python stays the same. (A changed figure
is mounted anew and loses zoom and pan.)
"""

from collections.abc import Callable, Sequence

import plotly.graph_objects as go


def pickable_chart(
    fig: go.Figure,
    *,
    key: str,
    label: str,
    on_pick: Callable[[Sequence[int]], None] | None,
    picked: Sequence[int] | None = None,
    grid: bool = True,
) -> None:
    """Show `fig`; call `on_pick` when a point is chosen by click, or by arrow keys and Enter.

    grid=True   the figure holds heat maps on integer axes: `on_pick([y, x])` and `picked`
                are these integers (layer, token) or (layer, head); y = -1 is the embedding
                row of the lens. `picked` gets a ring.
    grid=False  `on_pick([index])`, the number of the point in its trace.

    `on_pick` runs as a callback, before the script runs again. None: nothing is chosen.
    """
    raise NotImplementedError
