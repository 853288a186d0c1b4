"""One feature on a corpus: histogram of its firings in fifths, or where in a text it fires."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures.theme import Look, colour, drawn, faint, note
from core.figures.wording import count, number, quoted, readable
from core.results.feature_card import FeatureCard
from core.spec.errors import Error

HEIGHT = 300
SHOWN = ("histogram", "log", "position")
MOST_LABEL = 40  # characters of a label in a caption


def figure(result: FeatureCard, look: Look, *, show: str = "histogram") -> go.Figure:
    """Firings by value.

    show  "histogram": fifths of the range, above them their share of summed activation; "log":
          the same on a logarithmic axis of values; "position": how often it fires by place
    """
    if show not in SHOWN:
        raise Error(f"the figure can show {', '.join(SHOWN)}, not {show[:20]!r}")
    if show == "position":
        return _position(result, look)
    return _histogram(result, look, show == "log")


def title(result: FeatureCard) -> str:
    """How often it fires, and the token it is strongest on if that is beyond chance."""
    if not result.n_fires:
        return f"{result.site} never fires on {result.corpus}"
    words = f"{result.site} fires on {_share(result.density)} of tokens"
    if result.top_share > result.random_share[1]:
        most = round(result.top_share * result.n_listed)
        words += f"; {most} of its {result.n_listed} strongest are on {quoted(result.top_piece)}"
    return words


def caption(result: FeatureCard) -> str:
    """The controls and the sample, in words."""
    a, b = (_share(value) for value in result.half_density)
    label = ""
    if result.label and not np.isnan(result.label_score):
        label = f"; label “{_short(readable(result.label))}”: F1 {number(result.label_score)}"
        label += " on other documents"
        if not np.isnan(result.label_chance):
            label += f", by chance {number(result.label_chance)}"
    mean, high = (number(value) for value in result.random_share)
    median, most = (_share(value) for value in result.random_density)
    return (
        f"{count(result.n_tokens, 'token')} of {result.corpus}; halves of the documents: {a} and "
        f"{b}; control, random directions in the dictionary's place fire on {median} (1 in 100 on "
        f"{most}); {result.n_listed} random tokens: {mean} on one token, {high} in 1 of 100{label}"
    )


def _short(words: str) -> str:
    return words if len(words) <= MOST_LABEL else words[: MOST_LABEL - 1] + "…"


def _share(value: float) -> str:
    percent = 100 * value
    return f"{percent:.2g} %" if percent < 10 else f"{percent:.0f} %"


def _histogram(result: FeatureCard, look: Look, logarithmic: bool) -> go.Figure:
    edges = result.log_edges if logarithmic else result.edges
    counts = result.log_counts if logarithmic else result.counts
    if logarithmic and len(edges) > 1:
        low = np.maximum(edges[:-1], edges[1] / 2)  # the first bin begins at 0
        middle, width = np.sqrt(low * edges[1:]), edges[1:] - low
    else:
        middle, width = (edges[1:] + edges[:-1]) / 2, np.diff(edges)
    bars = go.Bar(
        x=middle,
        y=np.where(counts > 0, counts, np.nan),
        width=np.maximum(width, 1e-9),
        marker={"color": colour("a", look), "line": {"width": 0}},
        customdata=np.stack([edges[:-1], edges[1:]], axis=1) if len(counts) else None,
        hovertemplate="%{customdata[0]:.3~g} to %{customdata[1]:.3~g}<br>about %{y:,.0f} firings"
        "<extra></extra>",
    )
    shapes, notes = ([], []) if logarithmic else _bands(result, look)
    axis: dict[str, Any] = {"title": {"text": "value (written length)"}}
    if logarithmic:
        axis["type"] = "log"
    return drawn(
        [bars],
        look,
        title=title(result),
        height=HEIGHT,
        bargap=0,
        shapes=shapes,
        annotations=notes,
        margin={"t": 76, "r": 16},
        xaxis=axis,
        yaxis={"title": {"text": "firings"}, "type": "log", "dtick": 1},
    )


def _bands(result: FeatureCard, look: Look) -> tuple[list[Any], list[Any]]:
    """(shapes, notes): the fifths, and how much of the summed activation lies in each."""
    shapes: list[Any] = []
    notes: list[Any] = []
    if not result.n_fires:
        return shapes, notes
    line = {"color": faint("muted", look, 0.5), "width": 1, "dash": "dot"}
    for band, share in enumerate(result.band_sum.tolist()):
        low, high = result.largest * band / 5, result.largest * (band + 1) / 5
        place = {"x0": high, "x1": high, "y0": 0, "y1": 1, "yref": "y domain"}
        shapes.append({"type": "line", "line": line, "xref": "x", **place})
        at: dict[str, Any] = {"x": (low + high) / 2, "xref": "x", "y": 1, "yref": "y domain"}
        notes.append(note(f"{share:.0%}", look, yanchor="bottom", **at))
    return shapes, notes


def _position(result: FeatureCard, look: Look) -> go.Figure:
    n = len(result.by_position)
    edges = np.arange(n + 1) * result.window / n
    bars = go.Bar(
        x=(edges[1:] + edges[:-1]) / 2,
        y=result.by_position,
        width=np.diff(edges),
        marker={"color": colour("a", look), "line": {"width": 0}},
        hovertemplate="about token %{x:.0f}<br>fires on %{y:.2%} of the tokens there"
        "<extra></extra>",
    )
    line = {"color": colour("control", look), "width": 1.2, "dash": "dash"}
    span = {"type": "line", "x0": 0, "x1": 1, "xref": "x domain", "line": line}
    return drawn(
        [bars],
        look,
        title=title(result),
        height=HEIGHT,
        bargap=0.05,
        shapes=[{**span, "y0": result.density, "y1": result.density}],
        xaxis={"title": {"text": "position in the context (tokens)"}},
        yaxis={
            "title": {"text": "share of tokens (dashed: all)"},
            "tickformat": ".2~%",
            "rangemode": "tozero",
        },
    )
