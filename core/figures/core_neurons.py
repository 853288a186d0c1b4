"""Core neurons: what is lost when only they run, and how soon they are known."""

import numpy as np
import plotly.graph_objects as go

from core.figures.lines import band, curve
from core.figures.theme import Look, colour, drawn, faint
from core.figures.wording import count, number
from core.results.core_neurons import CoreNeurons
from core.spec.errors import Error

VIEWS = ("loss", "stability")
HEIGHT = 360


def figure(result: CoreNeurons, look: Look, *, view: str = "loss") -> go.Figure:
    """view "loss": of the second half with a share of the neurons; "stability" along the text."""
    if view not in VIEWS:
        raise Error(f"core neurons are drawn as {', '.join(VIEWS)}, not {view[:20]!r}")
    return _stability(result, look) if view == "stability" else _loss(result, look)


def title(result: CoreNeurons) -> str:
    """What the core carries, in words."""
    own, other, random = _at(result)
    return (
        f"With {result.beta:.0%} of the neurons the text goes on at {number(own)} nats per token "
        f"(all {number(result.base)}, core of other text {number(other)}, random {number(random)})"
    )


def caption(result: CoreNeurons) -> str:
    """The control and the sample, in words."""
    by = "positive activations" if result.by == "positive" else "|activations|"
    return (
        f"control, {count(result.n_random, 'random set')} of equal size, and the core of "
        f"{count(result.n_reference, 'reference token')}; core: the {result.beta:.0%} of each "
        f"layer most often among the strongest {result.alpha:.0%} of a token's {by}, over "
        f"{count(result.n_first, 'token')}; losses over the {result.n_held} behind"
    )


def _at(result: CoreNeurons) -> tuple[float, float, float]:
    row = result.loss[int(np.abs(result.betas - result.beta).argmin())]
    return float(row[0]), float(row[1]), float(row[2:].mean())


def _loss(result: CoreNeurons, look: Look) -> go.Figure:
    x, random = 100 * result.betas, result.loss[:, 2:]
    ends = np.array([x[0], x[-1]])
    traces = [
        *band(x, random.min(axis=1), random.max(axis=1), look, role="control"),
        curve(x, random.mean(axis=1), look, role="control", dash="dash", name="random sets"),
        curve(x, result.loss[:, 1], look, role="b", symbol="diamond", name="core of other text"),
        curve(x, result.loss[:, 0], look, role="a", name="core of the first half"),
        curve(ends, np.repeat(result.base, 2), look, role="muted", dash="dot", name="all neurons"),
    ]
    return drawn(
        traces,
        look,
        title=title(result),
        height=HEIGHT,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 90, "r": 16},
        xaxis={"title": {"text": "neurons that run, % of each layer"}},
        yaxis={"title": {"text": "loss (nats per token)"}, "rangemode": "tozero"},
    )


def _stability(result: CoreNeurons, look: Look) -> go.Figure:
    layers = [
        go.Scatter(
            x=result.prefix.astype(float),
            y=result.stability[:, layer].astype(float),
            mode="lines",
            line={"color": faint("a", look, 0.35), "width": 1},
            showlegend=False,
            hovertemplate=f"layer {layer}<br>%{{x}} tokens: %{{y:.2f}}<extra></extra>",
        )
        for layer in range(result.stability.shape[1])
    ]
    ends = np.array([result.prefix[0], result.prefix[-1]])
    mean = result.stability.mean(axis=1)
    return drawn(
        [
            *layers,
            curve(result.prefix, mean, look, role="a", name="mean over layers"),
            curve(
                ends, np.repeat(result.chance, 2), look, role="control", dash="dash",
                name="two random sets of this size",
            ),
        ],
        look,
        title=title(result),
        height=HEIGHT,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 90, "r": 16},
        xaxis={"title": {"text": "tokens seen"}},
        yaxis={"title": {"text": "overlap with the core (Jaccard)"}, "range": [-0.02, 1.05]},
        shapes=[_reference(result, look)],
    )  # fmt: skip


def _reference(result: CoreNeurons, look: Look) -> dict[str, object]:
    """How like the core of the reference text it is, as a level."""
    level = float(result.likeness.mean())
    line = {"color": colour("b", look), "width": 1, "dash": "dot"}
    place = {"x0": 0, "x1": 1, "xref": "x domain", "y0": level, "y1": level}
    return {"type": "line", "line": line, **place}
