"""A dictionary's self-check: one bar for each way to read its files."""

import numpy as np
import plotly.graph_objects as go

from core.figures.theme import Look, colour, drawn
from core.figures.wording import count
from core.results.dictionary_check import DictionaryCheck

HEIGHT_OF_ROW, SHOWN = 26, 1.2


def figure(result: DictionaryCheck, look: Look) -> go.Figure:
    """FVU by reading, the declared one on top; beyond the axis the number stands at the bar."""
    roles = ["a" if row == 0 else "muted" for row in range(len(result.rows))]
    if result.better >= 0:
        roles[result.better] = "b"
    bars = go.Bar(
        x=np.minimum(result.fvu, SHOWN),
        y=list(result.rows),
        orientation="h",
        marker={"color": [colour(role, look) for role in roles]},
        text=[f"{f:.3f}, L0 {n:.1f}" for f, n in zip(result.fvu, result.l0, strict=True)],
        customdata=np.stack([result.fvu, result.l0, result.dead], axis=1),
        hovertemplate="%{y}<br>FVU %{customdata[0]:.3f}<br>L0 %{customdata[1]:.1f}"
        "<br>dead %{customdata[2]:.1%}<extra></extra>",
    )
    return drawn(
        [bars],
        look,
        title=title(result),
        height=140 + HEIGHT_OF_ROW * len(result.rows),
        xaxis={"title": {"text": "variance not explained (FVU; the mean: 1)"}, "range": [0, SHOWN]},
        yaxis={"autorange": "reversed", "automargin": True},
    )


def title(result: DictionaryCheck) -> str:
    """What follows from the check."""
    return result.sentence


def caption(result: DictionaryCheck) -> str:
    """Controls and sample, in words."""
    declared = f"; declared L0 {result.declared_l0:.1f}" if result.declared_l0 else ""
    left_out = f", {result.n_outliers} of extreme length left out" if result.n_outliers else ""
    return (
        f"{count(result.n_tokens, 'token')} of {count(result.n_contexts, 'context')} of "
        f"{result.corpus}{left_out}{declared}; controls: the same files read otherwise, and the "
        "mean of the site (FVU 1)"
    )
