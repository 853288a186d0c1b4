"""Accuracy of probes on few features, concept by concept, beside random ones and all there is."""

import numpy as np
import plotly.graph_objects as go

from core.figures.lines import dots, rows_axis
from core.figures.theme import Look, colour, drawn
from core.figures.wording import count, number, visible
from core.results.sparse_probes import SparseProbes

ROW, MOST = 22, 40
SYMBOLS = ("circle-open", "circle", "square")


def figure(result: SparseProbes, look: Look, *, most: int = MOST) -> go.Figure:
    """Concepts by the accuracy of their best single feature, at most `most` of them."""
    order = np.argsort(-np.nan_to_num(result.accuracy[:, 0]), kind="stable")[:most]
    y = np.arange(len(order))
    traces = [
        dots(result.random[order, -1], y, look, role="control", name=_random(result), symbol="x"),
        dots(
            result.dense[order], y, look, role="muted", name="all it reads", symbol="diamond-open"
        ),
    ]
    for place, (k, symbol) in enumerate(zip(result.k.tolist(), SYMBOLS, strict=False)):
        values = result.accuracy[order, place]
        name = count(k, "feature")
        traces.append(dots(values, y, look, role="a", name=name, symbol=symbol))
    line = {"color": colour("hairline", look), "width": 1}
    half = {"type": "line", "x0": 0.5, "x1": 0.5, "y0": 0, "y1": 1, "yref": "y domain"}
    names = [visible(result.concepts[place], 30) for place in order]
    return drawn(
        traces,
        look,
        title=title(result),
        height=130 + ROW * max(3, len(y)),
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 84},
        shapes=[{**half, "line": line}],
        xaxis={"title": {"text": "held-out accuracy"}, "range": [0.3, 1.03]},
        yaxis=rows_axis(names),
    )


def _random(result: SparseProbes) -> str:
    return f"{result.k[-1]} random features"


def title(result: SparseProbes) -> str:
    """Mean accuracies of one feature, of random ones and of everything."""
    one, random, dense = (
        number(float(np.nanmean(values)))
        for values in (result.accuracy[:, 0], result.random[:, 0], result.dense)
    )
    return (
        f"{result.dictionary}: one feature tells {count(len(result.concepts), 'concept')} with "
        f"accuracy {one} (random {random}, all it reads {dense})"
    )


def caption(result: SparseProbes) -> str:
    """The controls and the sample, in words."""
    low, high = result.n_texts[:, 0].min(), result.n_texts[:, 0].max()
    few = (
        f"; {count(len(result.left_out), 'concept')} with too few texts" if result.left_out else ""
    )
    return (
        f"{low:,} to {high:,} texts of a side, as many of the other, half held out; control, "
        f"firing features at random, mean of ten draws; a half is what saying one side gives{few}"
    )
