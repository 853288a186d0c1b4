"""How far back one head looks: its mean attention by distance, beside uniform attention."""

import numpy as np
import plotly.graph_objects as go

from core.figures.theme import Look, colour, drawn
from core.figures.wording import count, number
from core.results.heads import Heads
from core.spec.site import Site

HEIGHT = 230
LEAST_SHARE = 0.02  # of the queries: farther distances are seen by too few


def figure(result: Heads, look: Look, *, layer: int, head: int) -> go.Figure:
    """Bars are the head, the dashed line is uniform attention over what each query sees."""
    keep = shown(result)
    bars = go.Bar(
        x=result.lags[keep],
        y=result.lag[layer, head, keep],
        marker={"color": colour("a", look), "line": {"width": 0}},
        hovertemplate="%{x} back<br>attention %{y:.3~g}<extra></extra>",
    )
    uniform = go.Scatter(
        x=result.lags[keep],
        y=result.lag_uniform[layer, keep],
        mode="lines",
        line={"color": colour("control", look), "dash": "dash", "width": 2},
        hovertemplate="uniform %{y:.3~g}<extra></extra>",
    )
    return drawn(
        [bars, uniform],
        look,
        title=title(result, layer, head),
        height=HEIGHT,
        bargap=0.05,
        xaxis={"title": {"text": "tokens back (query − key)"}},
        yaxis={"title": {"text": "mean attention"}, "rangemode": "tozero"},
    )


def shown(result: Heads) -> np.ndarray:
    """[lag] the distances that enough queries can look back to."""
    return result.lag_queries >= max(1.0, LEAST_SHARE * float(result.lag_queries.max()))


def title(result: Heads, layer: int, head: int) -> str:
    """The distance at which the head looks most, beside uniform attention."""
    profile = np.where(shown(result), result.lag[layer, head], -np.inf)
    at = int(profile.argmax())
    place = Site(layer, "head", head, stack=result.stack)
    return (
        f"{place} looks {_far(int(result.lags[at]))} with {number(profile[at])} on average "
        f"(uniform {number(result.lag_uniform[layer, at])})"
    )


def _far(lag: int) -> str:
    if lag == 0:
        return "at the token itself"
    return f"{count(abs(lag), 'token')} {'back' if lag > 0 else 'ahead'}"
