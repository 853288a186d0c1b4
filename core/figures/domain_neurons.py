"""Neurons of one kind of text: how concentrated their firing is, and what breaks without them."""

import numpy as np
import plotly.graph_objects as go

from core.figures import grid
from core.figures.theme import BOTTOM, TOP, Look, colour, colour_bar, drawn, signed
from core.figures.wording import count, escaped, number, readable
from core.results.domain_neurons import DomainNeurons
from core.spec.errors import Error

VIEWS = ("entropy", "silent", "layers")
NAME = 24
ROLES = ("a", "b", "c", "clamped", "warning", "high", "low", "weight", "muted", "text")


def figure(
    result: DomainNeurons, look: Look, *, view: str = "entropy", limit: float | None = None
) -> go.Figure:
    """view "entropy": of all neurons beside shuffled kinds; "silent": loss without a kind's
    neurons; "layers": where the listed ones are.
    """
    if view not in VIEWS:
        raise Error(f"neurons of kinds are drawn as {', '.join(VIEWS)}, not {view[:20]!r}")
    if view == "layers":
        return _layers(result, look)
    return _silent(result, look, limit) if view == "silent" else _entropy(result, look)


def title(result: DomainNeurons) -> str:
    """The kind with most neurons of its own, in words."""
    counts = result.in_layer.sum(axis=1)
    at = int(counts.argmax())
    gain, control = result.gain[at, at, 0], result.gain[at, at, 1:].mean()
    return (
        f"{count(int(counts[at]), 'neuron')} of {len(result.unit)} listed fire most on "
        f"“{_name(result.names[at])}”; without them it loses {number(gain)} nats per token "
        f"(random sets {number(control)})"
    )


def caption(result: DomainNeurons) -> str:
    """The control and the sample, in words."""
    tokens = ", ".join(f"{n:,}" for n in result.n_tokens)
    return (
        f"control, kinds dealt out at random ({count(result.n_shuffles, 'shuffle')}) and "
        f"{count(result.n_random, 'random set')} with as many neurons in every layer; listed: the "
        f"{result.share:.1%} of lowest entropy among {count(result.n_able, 'neuron')} that fire "
        f"often enough somewhere; {count(sum(result.n_texts), 'text')}, rates over {tokens} tokens "
        "of one half, losses on the other"
    )


def _name(name: str) -> str:
    return readable(name)[:NAME]


def _entropy(result: DomainNeurons, look: Look) -> go.Figure:
    centre = (result.edge[1:] + result.edge[:-1]) / 2
    shared = {"width": np.diff(result.edge)}
    bars = [
        go.Bar(
            x=centre,
            y=values.astype(float),
            name=name,
            marker={"color": colour(role, look)},
            opacity=alpha,
            hovertemplate=f"{name}<br>%{{x:.2f}} nats: %{{y:.3~g}} neurons<extra></extra>",
            **shared,
        )
        for values, name, role, alpha in (
            (result.null_count, "kinds dealt out at random", "control", 0.6),
            (result.count, "true kinds", "a", 0.7),
        )
    ]
    return drawn(
        bars,
        look,
        title=title(result),
        height=340,
        barmode="overlay",
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 90, "r": 16},
        xaxis={"title": {"text": "entropy of firing over the kinds (nats)"}},
        yaxis={"title": {"text": "neurons"}, "type": "log"},
    )


def _silent(result: DomainNeurons, look: Look, limit: float | None) -> go.Figure:
    z, control = result.gain[:, :, 0], result.gain[:, :, 1:].mean(axis=2)
    most = limit or max(float(np.abs(z).max()), 1e-3)
    sizes = result.in_layer.sum(axis=1)
    names = [escaped(_name(name)) for name in result.names]
    hover = np.array(
        [
            [
                f"<b>neurons of {own}</b> silent ({count(int(sizes[a]), 'neuron')})<br>on {kind}: "
                f"{number(z[a, b], sign=True)} nats per token"
                f"<br>random sets {number(control[a, b], sign=True)}"
                for b, kind in enumerate(names)
            ]
            for a, own in enumerate(names)
        ],
        dtype=object,
    )
    few = len(names) <= grid.MOST_TEXT_ROWS
    printed = [[number(round(float(v), 2)) for v in row] for row in z]
    cells = grid.cells(
        z.astype("float32"),
        scale=signed(look),
        limits=(-most, most),
        hover=hover,
        text=np.array(printed, object) if few else None,
        bar=colour_bar("loss gained (nats per token)", look),
    )
    n = len(names)
    ticks = {"tickmode": "array", "tickvals": list(range(n)), "showgrid": False}
    rows = [f"{name} ({size})" for name, size in zip(names, sizes.tolist(), strict=True)]
    return drawn(
        [cells],
        look,
        title=title(result),
        height=TOP + 44 * max(n, 2) + BOTTOM + 20,
        margin={"l": 170, "b": 56},
        xaxis={**ticks, "ticktext": names, "title": {"text": "measured on"},
               "range": [-0.5, n - 0.5]},
        yaxis={**ticks, "ticktext": rows, "title": {"text": "neurons of, silent"},
               "range": [n - 0.5, -0.5]},
    )  # fmt: skip


def _layers(result: DomainNeurons, look: Look) -> go.Figure:
    n = result.in_layer.shape[1]
    bars = [
        go.Bar(
            x=np.arange(n, dtype="int32"),
            y=row.astype(float),
            name=escaped(_name(name)),
            marker={"color": colour(ROLES[kind % len(ROLES)], look)},
            hovertemplate=f"{escaped(_name(name))}<br>layer %{{x}}: %{{y}} neurons<extra></extra>",
        )
        for kind, (name, row) in enumerate(zip(result.names, result.in_layer, strict=True))
    ]
    return drawn(
        bars,
        look,
        title=title(result),
        height=320,
        barmode="stack",
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 90, "r": 16},
        xaxis=grid.number_axis(n, "layer", names=True),
        yaxis={"title": {"text": "neurons listed"}, "rangemode": "tozero"},
    )
