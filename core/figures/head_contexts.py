"""One head on a corpus: how strongly its queries look at their favourite key, beside chance."""

import numpy as np
import plotly.graph_objects as go

from core.figures.theme import Look, colour, drawn
from core.figures.wording import count, number
from core.results.head_contexts import BINS, RELATIONS, HeadContexts

HEIGHT = 300


def figure(result: HeadContexts, look: Look) -> go.Figure:
    """Queries by their largest weight, beside those by the weight of a random key."""
    middle = (np.arange(BINS) + 0.5) / BINS
    own = go.Bar(
        x=middle,
        y=np.where(result.counts > 0, result.counts, np.nan),
        name="largest weight of a query",
        marker={"color": colour("a", look), "line": {"width": 0}},
        hovertemplate="weight about %{x:.2f}<br>%{y:,} queries<extra></extra>",
    )
    random = go.Scatter(
        x=middle,
        y=np.where(result.random_counts > 0, result.random_counts, np.nan),
        name="control: a random key",
        mode="lines+markers",
        line={"color": colour("control", look), "dash": "dash"},
        marker={"color": colour("control", look), "size": 4},
        hovertemplate="weight about %{x:.2f}<br>%{y:,} queries<extra>random key</extra>",
    )
    return drawn(
        [own, random],
        look,
        title=title(result),
        height=HEIGHT,
        bargap=0,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 96, "r": 16},
        xaxis={"title": {"text": "attention weight"}, "range": [0, 1]},
        yaxis={"title": {"text": "queries"}, "type": "log", "dtick": 1},
    )


def title(result: HeadContexts) -> str:
    """What its strongest pairs have in common beyond chance, in words."""
    begin = f"{result.site} looks with at most {number(result.largest)}"
    beyond = result.relation - result.random_relation
    best = int(beyond.argmax())
    if not beyond[best] > 0:
        return begin
    words = RELATIONS[result.relations[best]]
    return (
        f"{begin}; {result.relation[best]:.0%} of its {result.n_listed} strongest pairs: {words} "
        f"(random keys {result.random_relation[best]:.0%})"
    )


def caption(result: HeadContexts) -> str:
    """The control and the sample, in words."""
    more = " and more" if result.cut else ""
    return (
        f"{count(result.n_queries, 'query', 'queries')} of {result.corpus} in "
        f"{count(result.n_contexts, 'context')}{more} that see {result.least} tokens or more; "
        f"largest weight of a query {number(result.mean)} on average; control, uniform attention "
        f"{number(result.uniform_mean)}, a random key {number(result.random_mean)} (99 % below "
        f"{number(result.random_p99)}); {result.rest:.0%} of its attention goes to first and "
        "special tokens, which are left out"
    )
