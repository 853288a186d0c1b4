"""Features that one side has less or more of: size of the change against how sure it is."""

import numpy as np
import plotly.graph_objects as go

from core.figures.theme import Look, colour, drawn
from core.figures.wording import count, readable
from core.results.blind_spots import BlindSpots

HEIGHT = 380
MOST_GREY = 3_000  # features within chance that are drawn


def figure(result: BlindSpots, look: Look) -> go.Figure:
    """Doublings of energy from A to B against energy; filled: beyond chance."""
    beyond = (result.low > 0) | (result.high < 0)
    grey = np.flatnonzero(~beyond)[:MOST_GREY]
    parts = (
        (grey, "control", "circle-open", "within chance"),
        (np.flatnonzero(result.high < 0), "a", "triangle-down", "B has less"),
        (np.flatnonzero(result.low > 0), "b", "triangle-up", "B has more"),
    )
    energy = result.energy.max(axis=0)
    traces = [
        go.Scattergl(
            x=result.change[at],
            y=energy[at],
            mode="markers",
            name=name,
            marker={"color": colour(role, look), "symbol": symbol, "size": 7},
            customdata=np.stack([result.feature[at], result.low[at], result.high[at]], axis=1),
            hovertemplate="feature %{customdata[0]:d}<br>%{x:+.2f} doublings "
            "(%{customdata[1]:.2f} to %{customdata[2]:.2f})<br>energy %{y:.3~g}<extra></extra>",
        )
        for at, role, symbol, name in parts
        if len(at)
    ]
    edge = max(1.0, float(np.abs(result.change).max(initial=0)) * 1.05)
    return drawn(
        traces,
        look,
        title=title(result),
        height=HEIGHT,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 84, "r": 16},
        xaxis={"title": {"text": "doublings of energy from A to B"}, "range": [-edge, edge]},
        yaxis={"title": {"text": "energy (mean length written a token)"}, "type": "log"},
    )


def title(result: BlindSpots) -> str:
    """What the sides are, and how many features differ beyond chance."""
    one, two = (readable(side)[:40] for side in result.sides)
    less, more = len(result.suppressed), len(result.exaggerated)
    return f"A {one}, B {two}: B has less of {count(less, 'feature')}, more of {more:,}"


def caption(result: BlindSpots) -> str:
    """The control and the sample, in words."""
    n, m = result.n_tokens
    return (
        f"beyond chance: 95 % interval over contexts away from 0, {result.n_beyond:,} of "
        f"{count(len(result.feature), 'feature')}; control, contexts dealt at random: "
        f"{result.control_beyond:,}; {n:,} and {count(m, 'token')} in {result.n_contexts[0]:,} and "
        f"{count(result.n_contexts[1], 'context')}{', the same' if result.paired else ''}"
    )
