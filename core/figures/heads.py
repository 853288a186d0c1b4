"""What every head looks at: the role of each, one score, two scores, or one head's distances."""

import numpy as np
import plotly.graph_objects as go

from core.figures import head_atlas
from core.figures.head_maps import largest
from core.figures.theme import BOTTOM, TOP, Look, colour, drawn
from core.figures.wording import count, number
from core.results.heads import KINDS, LEAST_QUERIES, MASSES, Heads
from core.spec.errors import Error
from core.spec.site import Site

UNITS = {"effective_tokens": "tokens", "distance": "tokens", "entropy": "of the most possible"}
PLOT = 300


def figure(
    result: Heads,
    look: Look,
    *,
    show: str = "role",
    against: str = "",
    head: tuple[int, int] | None = None,
) -> go.Figure:
    """Layer by head: `show` is "role", or a kind with its control beside it.

    against  a second kind: one dot a head, coloured by role
    head     (layer, head) of which the attention at each distance is drawn instead
    """
    if head is not None:
        return distances(result, look, *head)
    if show == "role":
        return head_atlas.roles(result, look)
    if not against:
        return head_atlas.figure(score(result, show), look)
    return head_atlas.plane(
        score(result, show),
        score(result, against),
        look,
        role=result.role,
        picked=score(result, show).strongest(),
    )


def score(result: Heads, kind: str) -> head_atlas.Score:
    """One kind of score as the maps of heads take it; few queries stand in its name."""
    if kind not in result.scores:
        raise Error(f"scores can show role, {', '.join(result.kinds)}, not {kind[:20]!r}")
    few = "" if result.enough(kind) else f" ({count(result.n_queries[kind], 'query', 'queries')})"
    return head_atlas.Score(
        kind.replace("_", " ") + few,
        KINDS[kind],
        UNITS.get(kind, "of attention"),
        result.scores[kind],
        result.control.get(kind),
        most=1.0 if kind in MASSES else 0.0,
        stack=result.stack,
    )


def title(result: Heads) -> str:
    """How many heads fit which role."""
    return head_atlas.roles_title(result)


def caption(result: Heads) -> str:
    """The controls and the sample, in words."""
    kind = "previous_token" if "previous_token" in result.kinds else result.kinds[0]
    parts = [
        f"{result.source}: {count(result.n_texts, 'text')}, {count(result.n_tokens, 'token')}",
        "controls, as many random keys in place of the targets, and uniform attention "
        f"({kind.replace('_', ' ')}: {number(largest(result.control[kind]))} at most)",
    ]
    null = result.threshold(kind)
    if not np.isnan(null):
        parts.append(f"untrained weights: 99 % of heads below {number(null)}")
    if "gain" in result.behaviour:
        first, second = (result.behaviour[f"loss_{copy}"] for copy in ("first", "second"))
        parts.append(f"loss {number(first)} in the first copy, {number(second)} in the second")
    parts.append(f"roles rest on attention alone and on {LEAST_QUERIES} queries or more")
    return "; ".join([*parts, *result.notes])


def distances(result: Heads, look: Look, layer: int, head: int) -> go.Figure:
    """Mean attention of one head by how far back the key is, beside uniform attention."""
    layers, heads, _ = result.lag.shape
    if not (0 <= layer < layers and 0 <= head < heads):
        raise Error(f"there are layers 0 to {layers - 1} and heads 0 to {heads - 1}")
    known = result.lag_queries > 0
    lags = result.lags[known]
    own = go.Bar(
        x=lags,
        y=result.lag[layer, head, known],
        name="attention",
        marker={"color": colour("a", look)},
        customdata=result.lag_queries[known],
        hovertemplate="%{x} back: %{y:.3~g}<br>%{customdata:,} queries<extra></extra>",
    )
    even = go.Scatter(
        x=lags,
        y=result.lag_uniform[layer, known],
        name="control: uniform attention",
        mode="lines",
        line={"color": colour("control", look), "dash": "dash"},
        hovertemplate="%{x} back: %{y:.3~g}<extra>uniform</extra>",
    )
    return drawn(
        [own, even],
        look,
        title=distances_title(result, layer, head),
        height=TOP + PLOT + BOTTOM,
        showlegend=True,
        legend={"y": 1.0},
        bargap=0.15,
        xaxis={"title": {"text": "tokens between query and key"}},
        yaxis={"title": {"text": "mean attention"}, "rangemode": "tozero"},
    )


def distances_title(result: Heads, layer: int, head: int) -> str:
    """The distance that the head looks at most, in words."""
    profile = np.where(result.lag_queries > 0, result.lag[layer, head], -np.inf)
    best = int(profile.argmax())
    lag, even = int(result.lags[best]), result.lag_uniform[layer, best]
    where = "at the token itself"
    if lag:
        where = f"{count(abs(lag), 'token')} {'back' if lag > 0 else 'ahead'}"
    return (
        f"{Site(layer, 'head', head, stack=result.stack)} looks most {where}: "
        f"{number(profile[best])} (uniform {number(even)})"
    )
