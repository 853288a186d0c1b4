"""Query by key: where one head looks on a text."""

from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.colors import get_colorscale

from core.figures import grid
from core.figures.theme import BOTTOM, TOP, UNSIGNED, Look, colour, colour_bar, drawn
from core.figures.wording import count, number, quoted, visible
from core.results.attention import AttentionResult
from core.spec.errors import Error
from core.spec.site import Site

MOST = 256  # tokens
MOST_WEIGHTS = 128  # up to here the hover says the weight itself, beyond it n/255


def figure(result: AttentionResult, look: Look) -> go.Figure:
    """Row = the token that looks (read downwards), column = the token looked at.

    The 8-bit weights are sent as they are; the colour bar says what they stand for. A weight
    of 0 (to 8 bits) has the colour of an empty cell.
    """
    n = len(result.tokens)
    if n > MOST:
        raise Error(
            f"the attention grid is drawn for up to {MOST} tokens, this text has {n}; "
            "use the token strip, or a shorter text"
        )
    exact = n <= MOST_WEIGHTS
    weights = grid.cells(
        result.pattern.astype("uint8"),
        scale=zero_blank(look),
        limits=(0, 255),
        hovertemplate="token %{y} looks at token %{x}<br>weight "
        + ("%{customdata:.2f}" if exact else "%{z}/255")
        + "<extra></extra>",
        customdata=result.pattern.astype("float32") / 255 if exact else None,
        bar=colour_bar(
            "attention weight",
            look,
            tickvals=[0, 63.75, 127.5, 191.25, 255],
            ticktext=["0", "0.25", "0.5", "0.75", "1"],
        ),
    )
    side = max(220, min(560, n * (22 if n <= 24 else 8)))
    return drawn(
        [weights],
        look,
        title=title(result),
        height=TOP + side + BOTTOM + grid.label_room(result.tokens),
        xaxis=grid.token_axis(result.tokens, "looked at (key)"),
        yaxis=grid.token_axis(result.tokens, "looks (query)", upright=True)
        | {"range": [n - 0.5, -0.5]},
    )


def title(result: AttentionResult) -> str:
    """Where the last token looks most, in words."""
    row = result.pattern[-1]
    key = int(row.argmax())
    place = Site(result.layer, "head", result.head, stack=result.stack)
    return (
        f"{place}: {quoted(result.tokens[-1])} looks at "
        f"{quoted(result.tokens[key])} ({number(row[key] / 255)})"
    )


def caption(result: AttentionResult) -> str:
    """The control and the sample, in words."""
    return (
        f"control, uniform attention: {number(result.uniform[-1])} per token at the last query; "
        f"mean entropy {number(np.mean(result.entropy))} nats; "
        f"1 text of {count(len(result.tokens), 'token')}"
    )


def looks(result: AttentionResult, token: int) -> str:
    """Where one token looks most, beside what even attention would give, in words."""
    row = result.pattern[token]
    key = int(np.argmax(row))
    return (
        f"token {token} looks most at token {key} “{visible(result.tokens[key], 16)}” "
        f"({number(row[key] / 255)}; uniform attention would give "
        f"{number(result.uniform[token])}); entropy {number(result.entropy[token])} nats; 1 text"
    )


def zero_blank(look: Look) -> list[list[Any]]:
    """Viridis with an exact 0 left blank: half of a causal grid is nothing else."""
    least, blank = 0.5 / 255, colour("panel", look)
    rest = [[least + (1 - least) * at, shade] for at, shade in get_colorscale(UNSIGNED)]
    return [[0.0, blank], [least, blank], *rest]
