"""Share of texts on which another feature stands in for the main ones, beside chance."""

import numpy as np
import plotly.graph_objects as go

from core.figures.lines import dots, ranges, rows_axis
from core.figures.theme import Look, drawn
from core.figures.wording import count, number, readable, visible
from core.results.feature_absorption import FeatureAbsorption

ROW = 26


def figure(result: FeatureAbsorption, look: Look) -> go.Figure:
    """Silent and absorbed shares by class; grey: shuffled rows up to the 95th percentile."""
    y = np.arange(len(result.classes))
    zero = np.zeros(len(y))
    traces = [
        ranges(zero, result.chance_high, y, look, name="control, 95th percentile"),
        dots(result.silent, y, look, role="muted", name="silent", symbol="circle-open"),
        dots(result.absorbed, y, look, role="a", name="absorbed"),
        dots(result.fraction, y, look, role="b", name="absorbed fraction", symbol="diamond"),
    ]
    names = [
        f"{visible(name, 28)} ({n})"
        for name, n in zip(result.classes, result.n_right.tolist(), strict=True)
    ]
    return drawn(
        traces,
        look,
        title=title(result),
        height=130 + ROW * max(3, len(y)),
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 84},
        xaxis={"title": {"text": "share of held-out texts the probe gets right"},
               "range": [-0.03, 1.03]},
        yaxis=rows_axis(names),
    )  # fmt: skip


def title(result: FeatureAbsorption) -> str:
    """The mean rate beside chance."""
    own, chance = np.nanmean(result.absorbed), np.nanmean(result.chance)
    what = "first letters" if result.task == "first letter" else readable(result.classes[0])[:60]
    return (
        f"{what}: other features stand in on {number(100 * float(own))} % of the texts "
        f"(shuffled rows {number(100 * float(chance))} %)"
    )


def caption(result: FeatureAbsorption) -> str:
    """The control and the sample, in words."""
    spells = (
        ""
        if np.isnan(result.spelling)
        else f"; the model names the first letter of {number(100 * result.spelling)} % of words"
    )
    worst = np.nanmin(result.probe_f1)
    return (
        f"{count(result.n_texts, 'text')}, half of them held out, at the last token; "
        f"{int(result.n_right.sum())} that a probe gets right (F1 from {number(float(worst))}); "
        f"absorbed: main features silent and one other writes at least 0.4 of what the text has "
        f"along the probe; control, decoder rows shuffled {result.n_shuffles} times{spells}"
    )
