"""How alike the features of two dictionaries are, beside what chance gives."""

import numpy as np
import plotly.graph_objects as go

from core.figures.theme import Look, colour, drawn
from core.figures.wording import count, number, readable
from core.results.dictionary_compare import SAME, DictionaryCompare

HEIGHT, BINS = 340, 41
BY = {
    "decoder": "cosine of the rows they write",
    "encoder": "cosine of the rows they read",
    "firing": "correlation of activations",
}


def figure(result: DictionaryCompare, look: Look) -> go.Figure:
    """Features by likeness: to the nearest, to the one-to-one partner, and of the control."""
    lines = (
        (result.likeness, "to the nearest", "a", "solid"),
        (result.partner_likeness, "one to one", "b", "dot"),
        (result.chance, "control, to the nearest", "control", "dash"),
    )
    known = [values[np.isfinite(values)] for values, *_ in lines]
    least = min([0.0, *(float(values.min()) for values in known if len(values))])
    edges = np.linspace(least, 1, BINS)
    middle = (edges[1:] + edges[:-1]) / 2
    traces = []
    for values, (_, name, role, dash) in zip(known, lines, strict=True):
        n, _ = np.histogram(values.clip(least, 1), bins=edges)
        traces.append(
            go.Scatter(
                x=middle,
                y=n,
                mode="lines",
                name=name,
                line={"color": colour(role, look), "width": 2, "dash": dash, "shape": "hvh"},
                hovertemplate=f"{name}<br>%{{x:.2f}}: %{{y}} features<extra></extra>",
            )
        )
    line = {"color": colour("warning", look), "width": 1, "dash": "dash"}
    return drawn(
        traces,
        look,
        title=title(result),
        height=HEIGHT,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 84, "r": 16},
        xaxis={"title": {"text": BY[result.by]}, "range": [least, 1.02]},
        yaxis={"title": {"text": "features"}, "rangemode": "tozero"},
        shapes=[{"type": "line", "x0": SAME, "x1": SAME, "y0": 0, "y1": 1, "yref": "paper",
                 "line": line}],
    )  # fmt: skip


def title(result: DictionaryCompare) -> str:
    """The share of features that both have, and that of the control."""
    one, two = (readable(name)[:40] for name in _names(result))
    return (
        f"{one} and {two}: {result.share:.0%} of the features in both "
        f"(nearest {result.nearest_share:.0%}, chance {result.chance_share:.0%})"
    )


def caption(result: DictionaryCompare) -> str:
    """The control and the sample, in words."""
    control = (
        "activations at shifted tokens" if result.by == "firing" else
        "random rows with the first dictionary's covariance"
    )  # fmt: skip
    way = "one to one (Hungarian)" if result.matching == "hungarian" else "each the other's nearest"
    parts = [
        f"mean likeness {way}: {number(result.mean)}; control, {control}: nearest "
        f"{number(result.chance_mean)}; {count(len(result.feature), 'feature')} with "
        f"{len(result.reverse):,}; in both means above {SAME}"
    ]
    if result.n_tokens:
        parts.append(f"{count(result.n_tokens, 'token')} of {result.corpus}")
    return "; ".join(parts)


def _names(result: DictionaryCompare) -> tuple[str, str]:
    (one, two), (here, there) = result.dictionaries, result.models
    return (one, two) if here == there else (f"{here} {one}", f"{there} {two}")
