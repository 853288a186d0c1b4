"""What sets of neurons share beyond chance, and what breaks without them."""

import numpy as np
import plotly.graph_objects as go

from core.figures import grid
from core.figures.lines import curve
from core.figures.theme import BOTTOM, TOP, Look, colour_bar, drawn, signed
from core.figures.wording import count, escaped, number, readable
from core.results.shared_neurons import SharedNeurons
from core.spec.errors import Error

VIEWS = ("overlap", "silent", "layers")
NAME = 24
ROLES = ("a", "b", "c", "clamped", "warning", "high", "low", "weight", "muted", "text")


def figure(
    result: SharedNeurons, look: Look, *, view: str = "overlap", limit: float | None = None
) -> go.Figure:
    """view "overlap": chance-corrected, of every pair; "silent": loss without a set; "layers"."""
    if view not in VIEWS:
        raise Error(f"shared neurons are drawn as {', '.join(VIEWS)}, not {view[:20]!r}")
    if view == "layers":
        return _layers(result, look)
    return _silent(result, look, limit) if view == "silent" else _overlap(result, look)


def title(result: SharedNeurons) -> str:
    """The pair that shares most, in words."""
    pairs = [(a, b) for a in range(len(result.names)) for b in range(a)]
    a, b = max(pairs, key=lambda pair: result.corrected[pair], default=(0, 0))
    both, chance = result.overlap[a, b].sum(), result.expected[a, b].sum()
    return (
        f"“{_name(result.names[b])}” and “{_name(result.names[a])}” share most: "
        f"{count(int(both), 'neuron')}, by chance {number(chance)}"
    )


def caption(result: SharedNeurons) -> str:
    """The control and the sample, in words."""
    texts = ", ".join(f"{n:,}" for n in result.n_texts)
    agree = "all" if result.agree == 1 else f"{result.agree:.0%}"
    return (
        f"control: the hypergeometric expectation of each of {count(result.size.shape[1], 'layer')}"
        f" is taken off (0 chance, 1 equal; diagonal: two halves of one set's texts); without a "
        f"set, {count(result.n_random, 'random set')} of its shape; sets: the {result.ratio:.0%} "
        f"most active of each layer in {agree} of the texts ({texts}), found on one half, losses "
        "on the other"
    )


def _name(name: str) -> str:
    return readable(name)[:NAME]


def _names(names: tuple[str, ...]) -> dict[str, object]:
    return {
        "tickmode": "array",
        "tickvals": list(range(len(names))),
        "ticktext": [escaped(_name(name)) for name in names],
        "showgrid": False,
    }


def _overlap(result: SharedNeurons, look: Look) -> go.Figure:
    z = result.corrected
    n = len(z)
    hover = np.array(
        [
            [
                f"<b>{escaped(_name(result.names[a]))}</b> and "
                f"<b>{escaped(_name(result.names[b]))}</b><br>corrected Jaccard "
                f"{number(z[a, b])}<br>{int(result.overlap[a, b].sum())} neurons, by chance "
                f"{number(result.expected[a, b].sum())}"
                for b in range(n)
            ]
            for a in range(n)
        ],
        dtype=object,
    )
    cells = grid.cells(
        z.astype("float32"),
        scale=signed(look),
        limits=(-1.0, 1.0),
        hover=hover,
        text=_printed(z),
        bar=colour_bar("corrected Jaccard", look),
    )
    side = {**_names(result.names), "range": [n - 0.5, -0.5]}
    return drawn(
        [cells],
        look,
        title=title(result),
        height=TOP + 44 * max(n, 3) + BOTTOM + 20,
        margin={"l": 150, "b": 56},
        xaxis={**_names(result.names), "title": {"text": "set"}, "range": [-0.5, n - 0.5]},
        yaxis={**side, "title": {"text": "set"}},
    )


def _silent(result: SharedNeurons, look: Look, limit: float | None) -> go.Figure:
    z, control = result.gain[:, :, 0], result.gain[:, :, 1:].mean(axis=2)
    most = limit or max(float(np.abs(z).max()), 1e-3)
    hover = np.array(
        [
            [
                f"<b>{escaped(_name(what))}</b> silent "
                f"({count(int(result.silenced_size[a]), 'neuron')})"
                f"<br>on {escaped(_name(kind))}: {number(z[a, b], sign=True)} nats per token"
                f"<br>random sets {number(control[a, b], sign=True)}"
                for b, kind in enumerate(result.measured)
            ]
            for a, what in enumerate(result.silenced)
        ],
        dtype=object,
    )
    cells = grid.cells(
        z.astype("float32"),
        scale=signed(look),
        limits=(-most, most),
        hover=hover,
        text=_printed(z),
        bar=colour_bar("loss gained (nats per token)", look),
    )
    rows = tuple(
        f"{name} ({n})"
        for name, n in zip(result.silenced, result.silenced_size.tolist(), strict=True)
    )
    n = len(rows)
    measured = {**_names(result.measured), "range": [-0.5, len(result.measured) - 0.5]}
    return drawn(
        [cells],
        look,
        title=title(result),
        height=TOP + 44 * max(n, 2) + BOTTOM + 20,
        margin={"l": 190, "b": 56},
        xaxis={**measured, "title": {"text": "measured on"}},
        yaxis={**_names(rows), "title": {"text": "silent"}, "range": [n - 0.5, -0.5]},
    )


def _layers(result: SharedNeurons, look: Look) -> go.Figure:
    layers = np.arange(result.size.shape[1])
    traces = [
        curve(layers, size, look, role=ROLES[n % len(ROLES)], name=_name(name))
        for n, (name, size) in enumerate(zip(result.names, result.size, strict=True))
    ]
    return drawn(
        traces,
        look,
        title=title(result),
        height=320,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 90, "r": 16},
        xaxis=grid.number_axis(len(layers), "layer", names=True),
        yaxis={"title": {"text": "neurons of the set"}, "rangemode": "tozero"},
    )


def _printed(z: np.ndarray) -> np.ndarray | None:
    if max(z.shape) > grid.MOST_TEXT_ROWS:
        return None
    return np.array([[number(round(float(v), 2)) for v in row] for row in z], object)
