"""Neighbours of a feature: cosine against firing together, or its neurons and heads."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures.lines import rows_axis
from core.figures.theme import Look, colour, drawn, note
from core.figures.wording import count, escaped, number, visible
from core.results.feature_neighbours import HINTS, FeatureNeighbours
from core.spec.errors import Error

HEIGHT = 400
ROW = 22
SHOWN = ("pairs", "neurons", "heads")
_SYMBOLS = ("circle", "star", "diamond", "triangle-up", "triangle-down")
_LABEL = 28


def figure(result: FeatureNeighbours, look: Look, *, show: str = "pairs") -> go.Figure:
    """Each neighbour of the lists by cosine of decoder rows and Jaccard index.

    show  "pairs"; "neurons": bars of cosine; "heads": shares of the heads
    """
    if show not in SHOWN:
        raise Error(f"the figure can show {', '.join(SHOWN)}, not {show[:20]!r}")
    if show == "neurons":
        return _neurons(result, look)
    if show == "heads":
        return _heads(result, look)
    return _pairs(result, look)


def title(result: FeatureNeighbours) -> str:
    """The nearest by rows and by firing."""
    first, cosine = int(result.decoder[0]), float(result.decoder_cosine[0])
    beyond = "beyond" if cosine > max(result.chance_decoder) else "within"
    words = (
        f"{result.site}: feature {first} writes most alike, cosine {number(cosine)}, {beyond} "
        f"chance ({number(max(result.chance_decoder))})"
    )
    if not len(result.together):
        return words
    return (
        f"{words}; feature {result.together[0]} fires with it, Jaccard {number(result.jaccard[0])}"
    )


def caption(result: FeatureNeighbours) -> str:
    """The controls and the sample, in words."""
    isotropic, like = (number(value) for value in result.chance_decoder)
    words = (
        f"control, {count(result.n_chance, 'random direction')}: 99 % come no nearer than cosine "
        f"{isotropic} to any of {result.n_features:,} rows, {like} if they are like the rows"
    )
    if result.why_not:
        return f"{words}; firing together: {result.why_not} (of {result.n_tokens:,} tokens)"
    mean, most = (number(value) for value in result.chance_jaccard)
    return (
        f"{words}; it fires on {result.n_fires:,} of {count(result.n_tokens, 'token')} of "
        f"{result.corpus}; its firings turned round {result.n_shifts} times: best Jaccard {mean} "
        f"on average, {most} at most"
    )


def _pairs(result: FeatureNeighbours, look: Look) -> go.Figure:
    lists = (
        ("decoder", result.decoder, result.decoder_cosine, result.decoder_jaccard, "a"),
        ("firing", result.together, result.together_cosine, result.jaccard, "b"),
    )
    hints = (result.decoder_hint, result.together_hint)
    traces = []
    for (name, features, cosine, jaccard, role), hint in zip(lists, hints, strict=True):
        traces.append(
            go.Scatter(
                x=cosine,
                y=np.nan_to_num(jaccard),
                mode="markers",
                name=f"by {name}",
                marker={
                    "size": 9,
                    "color": colour(role, look),
                    "symbol": [_SYMBOLS[code] for code in hint.tolist()],
                },
                customdata=features,
                hovertext=[
                    _hover(result, one, code)
                    for one, code in zip(features.tolist(), hint.tolist(), strict=True)
                ],
                hovertemplate="%{hovertext}<br>cosine %{x:.3f}, Jaccard %{y:.3f}<extra></extra>",
            )
        )
    line = {"color": colour("control", look), "width": 1.2, "dash": "dash"}
    at = max(result.chance_decoder)
    shapes = [
        {"type": "line", "x0": at, "x1": at, "y0": 0, "y1": 1, "yref": "y domain", "line": line}
    ]
    if not result.why_not:
        high = result.chance_jaccard[1]
        across = {"type": "line", "x0": 0, "x1": 1, "xref": "x domain", "y0": high, "y1": high}
        shapes.append({**across, "line": line})
    place: dict[str, Any] = {"x": 1, "xref": "x domain", "y": 1, "yref": "y domain"}
    words = "★ duplicate  ◆ split by context  ▲ parent  ▼ child"
    return drawn(
        traces,
        look,
        title=title(result),
        height=HEIGHT,
        showlegend=True,
        legend={"y": 1},
        shapes=shapes,
        annotations=[note(words, look, xanchor="right", yanchor="top", **place)],
        xaxis={"title": {"text": "cosine of decoder rows"}},
        yaxis={"title": {"text": "Jaccard index of firing"}, "rangemode": "tozero"},
    )


def _hover(result: FeatureNeighbours, feature: int, hint: int) -> str:
    parts = [f"feature {feature}", escaped(visible(result.label(feature), _LABEL))]
    if not result.label(feature):
        parts = parts[:1]
    says = dict(result.says).get(feature, ())
    if says:
        parts.append(escaped(", ".join(visible(piece, 12) for piece in says)))
    return "<br>".join([*parts, *([HINTS[hint]] if hint else [])])


def _neurons(result: FeatureNeighbours, look: Look) -> go.Figure:
    if not result.neurons:
        raise Error(result.why_no_neurons or "there are no neurons to compare with")
    words = {"out": "writes", "in": "reads", "gate": "opens on"}
    names = [
        f"{name} {words[kind]}"
        for name, kind in zip(result.neurons, result.neuron_kind, strict=True)
    ]
    high, low = colour("high", look), colour("low", look)
    bars = go.Bar(
        x=result.neuron_cosine,
        y=np.arange(len(names)),
        orientation="h",
        marker={"color": np.where(result.neuron_cosine >= 0, high, low).tolist()},
        hovertext=names,
        hovertemplate="%{hovertext}<br>cosine %{x:.3f}<extra></extra>",
    )
    line = {"color": colour("control", look), "width": 1.2, "dash": "dash"}
    span = {"type": "line", "y0": 0, "y1": 1, "yref": "y domain", "line": line}
    ends = [{**span, "x0": x, "x1": x} for x in (-result.neuron_chance, result.neuron_chance)]
    return drawn(
        [bars],
        look,
        title=f"{result.site}: neurons that write or read what it writes",
        height=110 + ROW * len(names),
        bargap=0.25,
        shapes=ends,
        xaxis={"title": {"text": "cosine (dashed: largest of a random direction)"}},
        yaxis=rows_axis(names, "neuron"),
    )


def _heads(result: FeatureNeighbours, look: Look) -> go.Figure:
    shares = {
        "writes": (result.head_decoder, "a"),
        "reads": (result.head_encoder, "b"),
    }
    traces = [
        go.Bar(
            x=np.arange(len(share)),
            y=share,
            name=name,
            marker={"color": colour(role, look)},
            hovertemplate=f"head %{{x}} {name}<br>%{{y:.1%}}<extra></extra>",
        )
        for name, (share, role) in shares.items()
        if len(share)
    ]
    if not traces:
        raise Error(f"{result.dictionary} does not lie on the heads of a layer")
    return drawn(
        traces,
        look,
        title=f"{result.site}: shares of the heads",
        height=HEIGHT,
        showlegend=True,
        legend={"y": 1},
        xaxis={"title": {"text": "head"}, "dtick": 1},
        yaxis={"title": {"text": "share of the squared row"}, "tickformat": ".0%"},
    )
