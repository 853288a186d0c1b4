"""Probes by layer: what each reads on held-out texts, and how their directions agree."""

import numpy as np
import plotly.graph_objects as go

from core.figures import grid, lines
from core.figures.theme import BOTTOM, TOP, Look, colour, colour_bar, drawn, signed
from core.figures.wording import count, escaped, number
from core.results.probe_family import ProbeFamily

NAMES = {
    "logistic": "logistic regression",
    "difference": "difference in means",
    "lda": "LDA",
    "pca": "first principal component",
}
_ROLES = ("a", "b", "c", "clamped")
_DASHES = ("solid", "dash", "dot", "dashdot")


def figure(result: ProbeFamily, look: Look, *, score: str = "auc") -> go.Figure:
    """AUC (or accuracy) of held-out texts by layer; grey is where 90 % of shuffled labels lie.

    score  "auc" or "accuracy"
    """
    values = result.auc if score == "auc" else result.accuracy
    control = result.control_auc if score == "auc" else result.control_accuracy
    random = result.random_auc if score == "auc" else result.random_accuracy
    x = np.arange(values.shape[1])
    low, high = np.quantile(control, (0.05, 0.95), axis=(0, 1))
    traces = lines.band(x, low, high, look, role="control", alpha=0.3)
    traces[-1].update(name="shuffled labels, 90 %", showlegend=True, hoverinfo="skip")
    traces.append(
        lines.curve(
            x, random.mean(0), look, role="control", name="random directions", dash="dot",
            symbol="x",
        )
    )  # fmt: skip
    for row, method in enumerate(result.methods):
        traces.append(
            lines.curve(
                x, values[row], look, role=_ROLES[row % 4], name=NAMES.get(method, method),
                dash=_DASHES[row % 4],
            )
        )  # fmt: skip
    return drawn(
        traces,
        look,
        title=title(result),
        height=380,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 100},
        xaxis=layers(len(x)),
        yaxis={"title": {"text": "held-out AUC" if score == "auc" else "held-out accuracy"},
               "range": [min(0.35, float(np.nanmin(values)) - 0.05), 1.03]},
    )  # fmt: skip


def layers(n: int) -> dict[str, object]:
    """The axis of n stream states, the embedding first."""
    step = max(1, n // 16)
    ticks = [row for row in range(n) if row % step == 0]
    names = ["emb" if row == 0 else f"L{row - 1}" for row in ticks]
    return {
        "title": {"text": "what leaves the layer"},
        "tickmode": "array",
        "tickvals": ticks,
        "ticktext": names,
    }


def state(row: int) -> str:
    """Row 0 is "the embedding", row 3 "layer 2"."""
    return "the embedding" if row == 0 else f"layer {row - 1}"


def title(result: ProbeFamily) -> str:
    """The best probe and the highest of the others, in words."""
    method, layer = result.best
    name = NAMES.get(result.methods[method], result.methods[method])
    if not result.readable(method, layer):
        return (
            f"No probe reads {result.positive} beyond shuffled labels: at best "
            f"{number(result.auc[method, layer])} ({name}, {state(layer)})"
        )
    means = result.methods.index("difference")
    return (
        f"{result.positive} against {result.negative}: {name} reads it best behind {state(layer)}, "
        f"AUC {number(result.auc[method, layer])}; difference in means there "
        f"{number(result.auc[means, layer])}, cosine of the two directions "
        f"{number(result.cosine[layer, method, means])}"
    )


def caption(result: ProbeFamily) -> str:
    """The controls and the sample, in words."""
    method, layer = result.best
    return (
        f"control there: shuffled labels {number(result.control_auc[:, method, layer].mean())} "
        f"(95 % below {number(np.quantile(result.control_auc[:, method, layer], 0.95))}, "
        f"{result.n_shuffles} shuffles), random directions "
        f"{number(result.random_auc[:, layer].mean())}; {count(result.n_texts, 'text')}, "
        f"{result.n_positive} positive, {count(result.n_groups, 'group')} in {result.n_folds} "
        f"folds, state at {result.position}; seed {result.seed}"
    )


def agreement(result: ProbeFamily, look: Look, *, layer: int) -> go.Figure:
    """Cosines between the directions of the methods at one row, those under shuffles in the hover.

    layer  row of the stream: 0 is the embedding
    """
    names = [NAMES.get(method, method) for method in result.methods]
    values, chance = result.cosine[layer], result.control_cosine[layer]
    hover = [
        [
            f"{one}, {other}<br>cosine {number(values[i, j])}<br>"
            f"on shuffled labels {number(chance[i, j])}"
            for j, other in enumerate(names)
        ]
        for i, one in enumerate(names)
    ]
    shown = [[number(round(float(value), 2)) for value in row] for row in values]
    cells = grid.cells(
        values.astype("float32"),
        scale=signed(look),
        limits=(-1.0, 1.0),
        hover=np.array(hover, dtype=object),
        text=np.array(shown, dtype=object),
        bar=colour_bar("cosine", look),
    )
    ticks = {
        "tickmode": "array",
        "tickvals": list(range(len(names))),
        "ticktext": [escaped(name) for name in names],
    }
    return drawn(
        [cells],
        look,
        title=f"How far the directions of the probes agree behind {state(layer)}",
        height=TOP + grid.rows_height(len(names)) + BOTTOM + 40,
        xaxis={"title": {"text": "probe"}, **ticks},
        yaxis={"title": {"text": "probe"}, "autorange": "reversed", **ticks},
    )


def turning(result: ProbeFamily, look: Look, *, method: str = "logistic") -> go.Figure:
    """Cosines between one probe's directions at all layers: a block is a code that stays."""
    values = result.layer_cosine[result.methods.index(method)]
    n = len(values)
    hover = [
        [f"{state(i)}, {state(j)}<br>cosine {number(values[i, j])}" for j in range(n)]
        for i in range(n)
    ]
    cells = grid.cells(
        values.astype("float32"),
        scale=signed(look),
        limits=(-1.0, 1.0),
        hover=np.array(hover, dtype=object),
        bar=colour_bar("cosine", look),
    )
    axis = layers(n)
    return drawn(
        [cells],
        look,
        title=f"Where the direction of {NAMES.get(method, method)} turns",
        height=TOP + grid.rows_height(n) + BOTTOM,
        xaxis=axis,
        yaxis=axis,
        annotations=[],
        font={"color": colour("text", look)},
    )
