"""Train here, test there: a matrix of sets at one layer, curves over layers, layer by layer."""

import numpy as np
import plotly.graph_objects as go

from core.figures import grid, lines
from core.figures.probe_family import NAMES, layers, state
from core.figures.theme import BOTTOM, TOP, Look, colour, colour_bar, drawn, signed
from core.figures.wording import count, escaped, number
from core.results.transfer import Transfer


def figure(result: Transfer, look: Look, *, layer: int | None = None) -> go.Figure:
    """AUC of every pair of sets behind one layer; in brackets what shuffled labels reach too.

    layer  row of the stream, 0 the embedding; by default the best one for the sets themselves
    """
    row = result.best_layer if layer is None else layer
    values, n = result.auc[:, :, row], len(result.sets)
    hover = [[_pair(result, i, j, row) for j in range(n)] for i in range(n)]
    clear = result.beyond(row)
    shown = [
        [f"{v:.2f}" if sure else f"({v:.2f})" for v, sure in zip(*line, strict=True)]
        for line in zip(values, clear, strict=True)
    ]
    cells = grid.cells(
        values.astype("float32"),
        scale=signed(look),
        limits=(0.0, 1.0),
        hover=np.array(hover, dtype=object),
        text=np.array(shown, dtype=object),
        bar=colour_bar("AUC", look),
    )
    names = [escaped(name[:28]) for name in result.sets]
    ticks = {"tickmode": "array", "tickvals": list(range(n)), "ticktext": names}
    return drawn(
        [cells],
        look,
        title=title(result, layer=row),
        height=TOP + grid.rows_height(n) + BOTTOM + 90,
        shapes=_topics(result, look),
        xaxis={"title": {"text": "tested on"}, "tickangle": -35, **ticks},
        yaxis={"title": {"text": "learned from"}, "autorange": "reversed", **ticks},
    )


def _topics(result: Transfer, look: Look) -> list[dict[str, object]]:
    """Lines between sets of different topics."""
    edges = [i for i in range(1, len(result.topics)) if result.topics[i] != result.topics[i - 1]]
    line = {"color": colour("text", look), "width": 2}
    end = len(result.topics) - 0.5
    return [
        {"type": "line", "line": line, **place}
        for edge in edges
        for place in (
            {"x0": edge - 0.5, "x1": edge - 0.5, "y0": -0.5, "y1": end},
            {"x0": -0.5, "x1": end, "y0": edge - 0.5, "y1": edge - 0.5},
        )
    ]


def _pair(result: Transfer, train: int, test: int, row: int) -> str:
    low, high = result.chance(train, test, row)
    held = "held-out groups" if train == test else "all its texts"
    return (
        f"learned from <b>{escaped(result.sets[train][:40])}</b> ({escaped(result.topics[train])})"
        f"<br>tested on <b>{escaped(result.sets[test][:40])}</b>, {held}<br>"
        f"AUC {number(result.auc[train, test, row])} "
        f"({number(result.auc_low[train, test, row])} to "
        f"{number(result.auc_high[train, test, row])})<br>shuffled labels "
        f"{number(low)} to {number(high)}<br>accuracy {number(result.accuracy[train, test, row])}, "
        f"not centred {number(result.accuracy_plain[train, test, row])}<br>cosine of the "
        f"directions {number(result.cosine[row, train, test])}"
    )


def title(result: Transfer, *, layer: int | None = None) -> str:
    """Own texts, other sets of the topic, sets of other topics, in words."""
    row = result.best_layer if layer is None else layer
    values, topics = result.auc[:, :, row], np.array(result.topics)
    same = topics[:, None] == topics[None, :]
    own = np.eye(len(topics), dtype=bool)
    parts = [f"{number(values[own].mean())} on their own held-out texts"]
    if (same & ~own).any():
        parts.append(f"{number(values[same & ~own].mean())} on other sets of their topic")
    if (~same).any():
        parts.append(f"{number(values[~same].mean())} on other topics")
    clear = result.beyond(row)
    words = f"; {int((clear[~own] > 0).sum())} of {count(int((~own).sum()), 'pair')} beyond chance"
    turned = int((clear[~own] < 0).sum())
    words += f", {turned} turned round" if turned else ""
    return f"Behind {state(row)}, mean AUC of probes: {', '.join(parts)}{words}"


def caption(result: Transfer) -> str:
    """The control and the sample, in words."""
    row = result.best_layer
    return (
        f"{NAMES.get(result.method, result.method)}; control, labels of the training set shuffled "
        f"{result.n_shuffles} times: mean {number(result.control_auc[..., row].mean())}, 90 % "
        f"between {number(np.quantile(result.control_auc[..., row], 0.05))} and "
        f"{number(np.quantile(result.control_auc[..., row], 0.95))}; "
        f"{count(len(result.sets), 'set')} of {min(result.n_texts)} to {max(result.n_texts)} "
        f"texts; seed {result.seed}"
    )


def curves(result: Transfer, look: Look, *, train: int = 0) -> go.Figure:
    """What the probe of one set reads of every set, layer by layer; grey are its shuffles."""
    x = np.arange(result.auc.shape[-1])
    low, high = np.quantile(result.control_auc[:, train], (0.05, 0.95), axis=(0, 1))
    traces = lines.band(x, low, high, look, role="control", alpha=0.3)
    roles, dashes = ("a", "b", "c", "clamped", "warning"), ("solid", "dash", "dot", "dashdot")
    for test, name in enumerate(result.sets):
        place = {"role": roles[test % 5], "dash": dashes[(test // 5) % 4]}
        words = f"{name[:30]} (held out)" if test == train else name[:30]
        traces.append(lines.curve(x, result.auc[train, test], look, name=words, **place))
    return drawn(
        traces,
        look,
        title=f"Learned from {result.sets[train][:40]}, tested on every set",
        height=400,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 120},
        xaxis=layers(len(x)),
        yaxis={"title": {"text": "AUC"}, "range": [-0.03, 1.03]},
    )


def across(result: Transfer, look: Look, *, chosen: int = 0) -> go.Figure:
    """Learned at one layer and read at another, held out: a block is a code that stays."""
    values = result.layer_auc[chosen]
    chance = result.control_layer_auc[:, chosen]
    n = len(values)
    hover = [
        [
            f"learned behind {state(i)}, read behind {state(j)}<br>AUC {number(values[i, j])}<br>"
            f"shuffled labels {number(chance[:, i, j].mean())}"
            for j in range(n)
        ]
        for i in range(n)
    ]
    cells = grid.cells(
        values.astype("float32"),
        scale=signed(look),
        limits=(0.0, 1.0),
        hover=np.array(hover, dtype=object),
        text=np.array([[f"{value:.2f}" for value in line] for line in values], dtype=object)
        if n <= 14
        else None,
        bar=colour_bar("AUC", look),
    )
    axis = layers(n)
    return drawn(
        [cells],
        look,
        title=f"{result.sets[chosen][:40]}: learned at one layer, read at another",
        height=TOP + grid.rows_height(n) + BOTTOM + 20,
        xaxis={**axis, "title": {"text": "read behind"}},
        yaxis={**axis, "title": {"text": "learned behind"}},
    )
