"""Clusters of features by how irreducible they are, and the tokens of one of them."""

from collections import Counter
from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures.relations import HUES, SYMBOLS
from core.figures.theme import Look, colour, drawn, faint
from core.figures.wording import count, escaped, number, quoted, readable, token
from core.results.irreducible import Irreducible
from core.spec.errors import Error

VIEWS = ("clusters", "tokens")
HEIGHT = 460
NAMED = 11  # tokens that get a colour of their own


def figure(
    result: Irreducible,
    look: Look,
    *,
    view: str = "clusters",
    cluster: int = 0,
    plane: tuple[int, int] | None = None,
) -> go.Figure:
    """Separability against mixture of every cluster; grey are random clusters.

    view     "clusters"; "tokens": the points of one cluster
    cluster  its rank, 0 is the best
    plane    components counted from 1; None for (2, 3) where they vary, since the first is
             usually how strongly the features fire
    """
    if view == "clusters":
        return _clusters(result, look, cluster)
    if view == "tokens":
        return _tokens(result, look, cluster, plane)
    raise Error(f"clusters can be shown as {', '.join(VIEWS)}, not {str(view)[:20]!r}")


def title(result: Irreducible) -> str:
    """How many clusters stand out, and the best of them."""
    beyond = int((result.p <= 0.05).sum())
    words = quoted(*(word.strip() for word in result.words[0][:4]))
    return (
        f"{readable(result.dictionary)[:40]}: {beyond} of "
        f"{count(result.n_judged, 'cluster')} score above 95 % of random ones (by chance "
        f"{number(round(result.n_judged / 20))}); best {words}: "
        f"{number(result.score[0])} bits (random, median {number(np.median(result.random_score))})"
    )


def caption(result: Irreducible) -> str:
    """How clusters were made, the control and the sample."""
    how = "spectral clusters by angle"
    if result.clusters_by == "neighbours":
        how = f"two nearest of cosine above {number(result.threshold)}"
    return (
        f"{count(result.n_clusters, 'cluster')} of {count(result.n_features, 'feature')} ({how}), "
        f"{result.n_judged} with enough tokens of {readable(result.corpus)[:40]} "
        f"({result.n_tokens:,}); score: mean over planes of (1 \N{MINUS SIGN} mixture) × "
        f"separability; control: {count(result.n_random, 'random cluster')} of like sizes; "
        f"seed {result.seed}"
    )


def _clusters(result: Irreducible, look: Look, cluster: int) -> go.Figure:
    random = go.Scatter(
        x=result.random_mixture, y=result.random_separability, mode="markers", name="random",
        marker={"color": faint("control", look, 0.6), "symbol": "x", "size": 7},
        hovertemplate="random cluster<br>mixture %{x:.3~g}, separability %{y:.3~g} bits"
        "<extra></extra>",
    )  # fmt: skip
    shared, held = (
        np.array([np.nanmean(row) for row in values])
        for values in (result.separability, result.mixture)
    )
    hover = [
        f"rank {rank + 1}: {', '.join(token(word.strip(), 12) for word in words[:6])}<br>"
        f"{count(int(size), 'feature')}, {count(int(n), 'token')}, score {number(score)}, "
        f"p {number(p)}"
        for rank, (words, size, n, score, p) in enumerate(
            zip(result.words, result.size, result.count, result.score, result.p, strict=True)
        )
    ]
    own = go.Scatter(
        x=held, y=shared, mode="markers", name="clusters", hovertext=hover,
        customdata=np.arange(len(held)),
        marker={"color": colour("a", look), "size": 6 + 2 * np.log2(result.size), "opacity": 0.8},
        hovertemplate="%{hovertext}<br>mixture %{x:.3~g}, separability %{y:.3~g} bits"
        "<extra></extra>",
    )  # fmt: skip
    traces: list[Any] = [random, own]
    if 0 <= cluster < len(held):
        ring = {"size": 20, "symbol": "circle-open", "color": colour("text", look),
                "line": {"width": 2}}  # fmt: skip
        traces.append(
            go.Scatter(x=held[[cluster]], y=shared[[cluster]], mode="markers", marker=ring,
                       hoverinfo="skip", showlegend=False)
        )  # fmt: skip
    return drawn(
        traces, look, title=title(result), height=HEIGHT, showlegend=True, legend={"y": 1.02},
        margin={"t": 96},
        xaxis={"title": {"text": "mixture: share of the points in a thin strip, mean over planes"},
               "range": [-0.02, 1.02]},
        yaxis={"title": {"text": "separability (bits, least over rotations)"},
               "rangemode": "tozero"},
    )  # fmt: skip


def _tokens(
    result: Irreducible, look: Look, cluster: int, plane: tuple[int, int] | None
) -> go.Figure:
    if not 0 <= cluster < result.n_shown:
        raise Error(f"cluster {cluster}: the tokens of 0 to {result.n_shown - 1} are kept")
    share = result.variance[cluster]
    one, other = plane or ((2, 3) if share[2] > 1e-6 else (1, 2))
    if not 1 <= one != other <= 5 or not other >= 1:
        raise Error(f"plane= is two of the components 1 to 5, not {plane}")
    point = result.points[cluster]
    n = len(result.drawn[cluster])
    common = [word for word, _ in Counter(result.drawn[cluster]).most_common(NAMED)]
    place = {word: at for at, word in enumerate(common)}
    traces = []
    for at, word in enumerate([*common, None]):
        chosen = [i for i, each in enumerate(result.drawn[cluster]) if place.get(each) is at
                  or (word is None and each not in place)]  # fmt: skip
        if not chosen:
            continue
        hue = colour("control", look) if word is None else HUES[at % len(HUES)]
        name = "other tokens" if word is None else token(word.strip() or word, 12)
        traces.append(
            go.Scattergl(
                x=point[chosen, one - 1], y=point[chosen, other - 1], mode="markers", name=name,
                marker={"color": hue, "size": 6, "opacity": 0.8,
                        "symbol": SYMBOLS[at // len(HUES) % len(SYMBOLS)]},
                hovertext=[escaped(readable(result.passages[cluster][i])) for i in chosen],
                hovertemplate="%{hovertext}<extra>" + name + "</extra>",
            )
        )  # fmt: skip
    judged_ = next((k for k, each in enumerate(result.planes) if each == (one, other)), None)
    said = ""
    if judged_ is not None:
        said = (
            f": separability {number(result.separability[cluster, judged_])} bits, mixture "
            f"{number(result.mixture[cluster, judged_])}"
        )
    return drawn(
        traces, look,
        title=f"{n:,} of {count(int(result.count[cluster]), 'token')} as "
        f"{count(int(result.size[cluster]), 'feature')} write them{said} (random clusters "
        f"{number(np.median(result.random_separability))}, "
        f"{number(np.median(result.random_mixture))})",
        height=HEIGHT, showlegend=True, legend={"y": 1.02}, margin={"t": 110},
        xaxis={"title": {"text": f"component {one} ({share[one - 1]:.0%})"}, "constrain": "domain"},
        yaxis={"title": {"text": f"component {other} ({share[other - 1]:.0%})"},
               "scaleanchor": "x"},
    )  # fmt: skip
