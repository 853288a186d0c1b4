"""What sets of neurons share beyond chance, and what breaks without them."""

import numpy as np
import plotly.graph_objects as go

from core.figures import grid, shared_sets
from core.figures.lines import curve
from core.figures.theme import Look, drawn
from core.figures.wording import count, number
from core.results.shared_neurons import SharedNeurons
from core.spec.errors import Error

VIEWS = ("overlap", "silent", "layers")
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
    return shared_sets.pair_title(
        result.names, result.corrected, result.overlap, result.expected, "neuron"
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


def _overlap(result: SharedNeurons, look: Look) -> go.Figure:
    def line(x: int, y: int) -> str:
        if x == y:
            return "two halves of one set's texts"
        both, chance = result.overlap[x, y].sum(), result.expected[x, y].sum()
        return f"{count(int(both), 'neuron')}, by chance {number(chance)}"

    return shared_sets.overlap_map(
        result.names, result.corrected, look, title=title(result), kind="set", line=line
    )


def _silent(result: SharedNeurons, look: Look, limit: float | None) -> go.Figure:
    return shared_sets.silent_map(
        result.silenced,
        result.silenced_size,
        result.measured,
        result.gain,
        look,
        title=title(result),
        unit="neuron",
        bar="loss gained (nats per token)",
        limit=limit,
    )


def _layers(result: SharedNeurons, look: Look) -> go.Figure:
    layers = np.arange(result.size.shape[1])
    traces = [
        curve(layers, size, look, role=ROLES[n % len(ROLES)], name=shared_sets.name(name))
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
