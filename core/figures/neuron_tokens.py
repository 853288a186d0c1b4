"""The neurons of one layer by how far their two ends stick out of the vocabulary."""

import numpy as np
import plotly.graph_objects as go

from core.figures import grid
from core.figures.theme import Look, colour, drawn
from core.figures.wording import count, escaped, number, quoted
from core.results.neuron_tokens import NeuronTokens
from core.spec.site import Site

HEIGHT = 420


def figure(result: NeuronTokens, look: Look) -> go.Figure:
    """One point a neuron, its number is the point's: z of its top token over |z| of its bottom.

    Dashed: what 99 % of random vectors stay below. Filled points lie beyond it.
    """
    end = float(max(result.top_z.max(), -result.bottom_z.min(), result.null_z)) * 1.05
    low = float(min(result.top_z.min(), -result.bottom_z.max())) * 0.95
    own, faded = colour("a", look), colour("control", look)
    points = go.Scatter(
        x=-result.bottom_z,
        y=result.top_z,
        mode="markers",
        marker={
            "size": 6,
            "color": np.where(result.decodable, own, faded).tolist(),
            "symbol": np.where(result.decodable, "circle", "circle-open").tolist(),
        },
        customdata=np.arange(len(result.top_z)),
        hovertext=_hover(result),
        hovertemplate="%{hovertext}<extra></extra>",
    )
    dash = {"color": faded, "width": 1.2, "dash": "dash"}
    at = result.null_z
    return drawn(
        [points],
        look,
        title=title(result),
        height=HEIGHT,
        shapes=[
            {"type": "line", "x0": at, "x1": at, "y0": low, "y1": at, "line": dash},
            {"type": "line", "x0": low, "x1": at, "y0": at, "y1": at, "line": dash},
        ],
        xaxis={"title": {"text": "|z| of the bottom token"}, "range": [low, end]},
        yaxis={"title": {"text": "z of the top token"}, "range": [low, end]},
    )


def title(result: NeuronTokens) -> str:
    """How many neurons of the layer stick out, and the clearest of them."""
    size = np.maximum(result.top_z, -result.bottom_z)
    best = int(size.argmax())
    ids = result.top_ids if result.top_z[best] >= -result.bottom_z[best] else result.bottom_ids
    verb = {"out": "write", "in": "read", "gate": "open on"}[result.weight]
    return (
        f"{result.decodable.mean():.0%} of the neurons of layer {result.layer} {verb} a token "
        "more clearly than chance; clearest "
        f"{_site(result, best)}: {quoted(*result.read(ids[best][:3]))}"
    )


def caption(result: NeuronTokens) -> str:
    """The control and the sample, in words."""
    hubs = quoted(*result.read(result.hub_ids[:3])) if len(result.hub_ids) else "none"
    return (
        f"control, {count(result.n_null, 'random vector')} like the layer's own: 99 % stay below "
        f"|z| {number(result.null_z)}; {count(len(result.top_z), 'neuron')} against "
        f"{count(result.n_vocabulary, 'token')}; commonest first tokens: {hubs}"
    )


def _site(result: NeuronTokens, neuron: int) -> Site:
    return Site(result.layer, "neuron", neuron, stack=result.stack)


def _hover(result: NeuronTokens) -> list[str]:
    """The furthest neurons with their tokens; the others by name, since text is heavy."""
    size = np.maximum(result.top_z, -result.bottom_z)
    told = set(np.argsort(-size)[: grid.MOST_HOVERS].tolist())
    lines = []
    for neuron in range(len(size)):
        line = f"<b>{_site(result, neuron)}</b>"
        if neuron in told:
            top, bottom = (
                escaped(quoted(*result.read(ids[neuron][:4])))
                for ids in (result.top_ids, result.bottom_ids)
            )
            line += (
                f"<br>top {number(result.top_z[neuron])}: {top}"
                f"<br>bottom {number(result.bottom_z[neuron])}: {bottom}"
            )
        lines.append(line)
    return lines
