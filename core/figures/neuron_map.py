"""All neurons at a glance: how clearly each speaks, how much it writes, what it does."""

import plotly.graph_objects as go

from core.figures import neuron_strip
from core.figures.theme import Look
from core.figures.wording import count, number
from core.results.neuron_map import NeuronMap
from core.spec.errors import Error

# show: (field, quantity and unit, diverging)
SHOWN = {
    "z": ("z", "z of the first token", True),
    "size": ("write_norm", "length of the write vector (stream units)", False),
    "cosine": ("linout", "cos(in, out)", True),
}


def figure(
    result: NeuronMap, look: Look, *, show: str = "z", limit: float | None = None
) -> go.Figure:
    """A row a layer, a column a neuron (or the strongest of a group, whose number is customdata).

    show   "z" of the stronger end, with its sign; "size" of what is written; "cosine" in and out
    limit  the value of full colour, when several maps stand side by side
    """
    if show not in SHOWN:
        raise Error(f"the map can show {', '.join(SHOWN)}, not {show[:20]!r}")
    field, words, diverging = SHOWN[show]
    return neuron_strip.figure(
        getattr(result, field),
        look,
        title=title(result),
        words=words,
        diverging=diverging,
        limit=limit,
    )


def title(result: NeuronMap) -> str:
    """How many neurons speak more clearly than chance, and where most of them are."""
    layer = int(result.decodable_share.argmax())
    verb = {"out": "write", "in": "read", "gate": "open on"}[result.weight]
    return (
        f"{result.decodable_share.mean():.0%} of all neurons {verb} a token more clearly than "
        f"chance; most of them in layer {layer} ({result.decodable_share[layer]:.0%})"
    )


def caption(result: NeuronMap) -> str:
    """The control and the sample, in words."""
    low, high = number(result.null_z.min()), number(result.null_z.max())
    return (
        f"control, {count(result.n_null, 'random vector')} like the layer's own: 99 % stay below "
        f"|z| {low} to {high}; {count(result.top_id.size, 'neuron')} against "
        f"{count(result.n_vocabulary, 'token')}"
    )
