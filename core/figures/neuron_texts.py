"""One neuron on a corpus: the histogram of its activations, in fifths of its range."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures.theme import Look, colour, drawn, faint, note
from core.figures.wording import count, number, quoted
from core.results.neuron_texts import NeuronTexts

HEIGHT = 300
LEAST_LABEL = 0.04  # of the axis; narrower sides go without labels


def figure(result: NeuronTexts, look: Look) -> go.Figure:
    """Bars on a logarithmic axis; uprights divide each side of zero into fifths of its end.

    Above the bars: the share of the summed activation that lies in each fifth.
    """
    edges, counts = result.edges, result.counts
    middle, width = (edges[1:] + edges[:-1]) / 2, np.diff(edges)
    bars = go.Bar(
        x=middle,
        y=np.where(counts > 0, counts, np.nan),
        width=np.maximum(width, 1e-9),
        marker={"color": colour("a", look), "line": {"width": 0}},
        customdata=np.stack([edges[:-1], edges[1:]], axis=1),
        hovertemplate="%{customdata[0]:.3~g} to %{customdata[1]:.3~g}<br>about %{y:,.0f} tokens"
        "<extra></extra>",
    )
    shapes, notes = _bands(result, look)
    return drawn(
        [bars],
        look,
        title=title(result),
        height=HEIGHT,
        bargap=0,
        shapes=shapes,
        annotations=notes,
        margin={"t": 76, "r": 16},
        xaxis={"title": {"text": "activation"}},
        yaxis={"title": {"text": "tokens"}, "type": "log", "dtick": 1},
    )


def title(result: NeuronTexts) -> str:
    """How often it fires, and the token it is strongest on if that is beyond chance."""
    often = f"{result.site} fires on {result.density:.1%} of tokens"
    if result.density_negative >= 0.001 and result.smallest < -0.1 * result.largest:
        often += f", below zero on {result.density_negative:.1%}"
    if result.top_share > result.random_share[1]:
        most = round(result.top_share * result.n_listed)
        often += f"; {most} of its {result.n_listed} strongest are on {quoted(result.top_piece)}"
    return often


def caption(result: NeuronTexts) -> str:
    """The control and the sample, in words."""
    mean, high = result.random_share
    return (
        f"{count(result.n_tokens, 'token')} of {result.corpus} in "
        f"{count(result.n_contexts, 'context')}; 99.9 % of tokens stay within "
        f"±{number(result.p999)}; control, {result.n_listed} random tokens: {number(mean)} on one "
        f"token, {number(high)} in 1 of 100; above the bars: share of the summed activation"
    )


def _bands(result: NeuronTexts, look: Look) -> tuple[list[Any], list[Any]]:
    """(shapes, notes): the fifths of both sides and how much of the sum lies in each."""
    shapes: list[Any] = []
    notes: list[Any] = []
    whole = float(result.edges[-1] - result.edges[0]) or 1.0
    reaches = (max(result.largest, 0.0), min(result.smallest, 0.0))
    for end, shares in zip(reaches, result.band_sum, strict=True):
        if abs(end) / whole < LEAST_LABEL:
            continue
        for band, share in enumerate(shares):
            low, high = end * band / 5, end * (band + 1) / 5
            line = {"color": faint("muted", look, 0.5), "width": 1, "dash": "dot"}
            place = {"x0": high, "x1": high, "y0": 0, "y1": 1, "yref": "y domain"}
            shapes.append({"type": "line", "line": line, "xref": "x", **place})
            if abs(end) / whole >= 5 * LEAST_LABEL:
                at: dict[str, Any] = {"x": (low + high) / 2, "xref": "x", "y": 1}
                notes.append(note(f"{share:.0%}", look, yanchor="bottom", yref="y domain", **at))
    return shapes, notes
