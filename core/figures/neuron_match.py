"""Two models, neuron by neuron: how many are still the same, over the layers."""

import numpy as np
import plotly.graph_objects as go

from core.figures import grid
from core.figures.theme import Look, colour, drawn
from core.figures.wording import count
from core.results.neuron_match import NeuronMatch
from core.spec.errors import Error

HEIGHT = 360
ROLES = {"out": "a", "in": "b", "gate": "c"}
MARKS = {"out": "circle", "in": "square", "gate": "diamond"}
# measure: (field, axis)
MEASURES = {
    "same": ("same_share", "share with the same first token"),
    "jaccard": ("mean_jaccard", "overlap of the first tokens (Jaccard, mean)"),
    "cosine": ("mean_cosine", "cosine of the vectors (mean)"),
}


def figure(result: NeuronMatch, look: Look, *, measure: str = "same") -> go.Figure:
    """One line a vector over the layers; dashed in the same colour, neuron j against j + 1.

    measure  "same" first token, "jaccard" of the first tokens, "cosine" of the vectors
    """
    if measure not in MEASURES:
        raise Error(f"a match is measured by {', '.join(MEASURES)}, not {measure[:20]!r}")
    field, words = MEASURES[measure]
    n_layers = result.same_share.shape[1]
    lines = []
    for row, weight in enumerate(result.weights):
        for name, values, dash in (
            (weight, getattr(result, field)[row], "solid"),
            (f"{weight}, control", getattr(result, f"control_{field}")[row], "dash"),
        ):
            lines.append(
                go.Scatter(
                    x=np.arange(n_layers, dtype="int32"),
                    y=values,
                    name=name,
                    mode="lines+markers",
                    line={"color": colour(ROLES[weight], look), "width": 2, "dash": dash},
                    marker={"size": 6, "symbol": MARKS[weight]},
                    hovertemplate=f"{name}<br>layer %{{x}}<br>%{{y:.3~g}}<extra></extra>",
                )
            )
    return drawn(
        lines,
        look,
        title=title(result),
        height=HEIGHT,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 84},
        xaxis=grid.number_axis(n_layers, "layer"),
        yaxis={"title": {"text": words}, "range": [-0.05, 1.05]},
    )


def title(result: NeuronMatch) -> str:
    """How many neurons still have the same first token."""
    shares = ", ".join(
        f"{share:.0%} ({weight})"
        for weight, share in zip(result.weights, result.same_share.mean(axis=1), strict=True)
    )
    one, two = result.models
    return f"{one} and {two}: same first token for {shares} of the neurons"


def caption(result: NeuronMatch) -> str:
    """The control and the sample, in words."""
    chance = float(result.control_same_share.mean())
    unlike = f", {count(result.n_unlike, 'id')} written differently" if result.n_unlike else ""
    return (
        f"control, neuron j against j + 1 of the other model: {chance:.1%}; "
        f"{count(result.same[0].size, 'neuron')} in {count(result.same.shape[1], 'layer')}, "
        f"lists of {result.k} of {count(result.n_vocabulary, 'token')}{unlike}"
    )
