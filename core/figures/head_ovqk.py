"""One head's channels, and how its score depends on the distance; its tokens are tables."""

import numpy as np
import plotly.graph_objects as go

from core.figures.lines import curve
from core.figures.theme import BOTTOM, TOP, Look, colour, drawn
from core.figures.wording import count, number, quoted
from core.results.head_ovqk import HeadOvqk
from core.spec.errors import Error

SHOWN = ("spectrum", "offset")
PLOT = 280


def figure(result: HeadOvqk, look: Look, *, show: str = "spectrum") -> go.Figure:
    """ "spectrum": singular values of what the head writes; "offset": score against distance."""
    if show not in SHOWN:
        raise Error(f"a head's figure shows {' or '.join(SHOWN)}, not {show[:20]!r}")
    return (_spectrum if show == "spectrum" else _offset)(result, look)


def title(result: HeadOvqk, show: str = "spectrum") -> str:
    """How many channels the head writes through, or at which distance it looks most."""
    if show == "spectrum":
        return (
            f"{result.site} writes through {number(result.participation)} channels of "
            f"{len(result.spectrum)} (random weights {number(result.control_participation)})"
        )
    query, key = result.read([result.query_id, result.key_id])
    best = int(result.offsets["offsets"][result.offsets["score"].argmax()])
    return (
        f"{result.site}: {quoted(query)} looks for {quoted(key)} most at distance {best}"
        if result.position != "none"
        else f"{result.site}: {quoted(query)} looks for {quoted(key)} alike at any distance"
    )


def caption(result: HeadOvqk) -> str:
    """The controls and the sample, in words."""
    entered = "stream behind block 0" if result.embedding == "effective" else "input embedding"
    other = (
        "no other head in the layer"
        if result.control_head < 0
        else f"L{result.layer}.head[{result.control_head}]"
    )
    words = (
        f"tokens enter as their {entered}; controls, {count(result.n_null, 'random direction')}: "
        f"99 % stay below |z| {number(result.null_z)} written, {number(result.read_null_z)} read; "
        f"{other}; {count(result.n_random, 'head')} of random weights; "
        f"{count(result.n_vocabulary, 'token')} written, {count(result.n_tokens, 'token')} read, "
        f"{count(result.n_pairs, 'token')} as queries and keys"
    )
    if result.window:
        words += f"; the layer sees {count(result.window, 'token')} back, scores lie in front of it"
    return words


def _spectrum(result: HeadOvqk, look: Look) -> go.Figure:
    rank = np.arange(1, len(result.spectrum) + 1)
    lines = [
        curve(rank, result.control_spectrum, look, role="control", name="random", dash="dash"),
        curve(rank, result.spectrum, look, role="a", name=result.site),
    ]
    return drawn(
        lines,
        look,
        title=title(result),
        height=TOP + PLOT + BOTTOM,
        showlegend=True,
        legend={"x": 1, "xanchor": "right", "y": 1, "yanchor": "top", "orientation": "v"},
        xaxis={"title": {"text": "channel"}},
        yaxis={"title": {"text": "singular value of W_V W_O"}, "rangemode": "tozero"},
    )


def _offset(result: HeadOvqk, look: Look) -> go.Figure:
    x = result.offsets["offsets"]
    query, key = result.read([result.query_id, result.key_id])
    lines = [
        curve(x, result.offsets["control"], look, role="control", name="another head", dash="dash"),
        curve(x, result.offsets["mean"], look, role="b", name="common tokens", symbol="square"),
        curve(x, result.offsets["score"], look, role="a", name=f"{quoted(query)} {quoted(key)}"),
    ]
    mark = {"color": colour("muted", look), "width": 1, "dash": "dot"}
    at = result.offset
    return drawn(
        lines,
        look,
        title=title(result, "offset"),
        height=TOP + PLOT + BOTTOM,
        showlegend=True,
        legend={"x": 1, "xanchor": "right", "y": 1, "yanchor": "top", "orientation": "v"},
        shapes=[
            {"type": "line", "x0": at, "x1": at, "y0": 0, "y1": 1, "yref": "y domain", "line": mark}
        ],
        xaxis={"title": {"text": "offset (query behind key, tokens)"}},
        yaxis={"title": {"text": "score in front of softmax"}},
    )
