"""Layer by rank: the neurons that move the stream most at one token."""

import numpy as np
import plotly.graph_objects as go

from core.figures import grid
from core.figures.theme import BOTTOM, TOP, UNSIGNED, Look, colour_bar, drawn
from core.figures.wording import count, escaped, number, quoted
from core.results.token_neurons import TokenNeurons
from core.spec.site import Site


def figure(result: TokenNeurons, look: Look, *, limit: float | None = None) -> go.Figure:
    """Colour is the size of what the neuron writes, text its number; layer 0 at the bottom.

    limit  the write of full colour in stream units, when several figures stand side by side
    """
    n_layers, k = result.neuron.shape
    few = k <= grid.MOST_TEXT_COLUMNS and n_layers <= grid.MOST_TEXT_ROWS
    neurons = grid.cells(
        result.write.astype("float32"),
        scale=UNSIGNED,
        limits=(0.0, limit or float(result.write.max()) or 1.0),
        hover=_hover(result),
        text=result.neuron.astype(str).astype(object) if few else None,
        bar=colour_bar("size of the write (stream units)", look),
    )
    return drawn(
        [neurons],
        look,
        title=title(result),
        height=TOP + grid.rows_height(n_layers) + BOTTOM,
        xaxis=grid.number_axis(k, "rank within the layer (0 = strongest)"),
        yaxis=grid.number_axis(n_layers, "layer", names=True),
    )


def title(result: TokenNeurons) -> str:
    """The strongest neuron of all and what it writes, in words."""
    layer, rank = np.unravel_index(result.write.argmax(), result.write.shape)
    return (
        f"At {quoted(result.tokens[result.position])} {_site(result, int(layer), int(rank))} "
        f"writes most: {quoted(*result.writes[layer][rank][:3])}"
    )


def caption(result: TokenNeurons) -> str:
    """The control and the sample, in words."""
    return (
        f"control, {count(result.n_random, 'random neuron')} per layer: write "
        f"{number(result.random_write.mean())} on average; peaks over "
        f"{count(result.n_reference, 'reference token')}; token {result.position}"
    )


def _hover(result: TokenNeurons) -> np.ndarray:
    n_layers, k = result.neuron.shape
    return np.array(
        [[_line(result, layer, rank) for rank in range(k)] for layer in range(n_layers)],
        dtype=object,
    )


def _site(result: TokenNeurons, layer: int, rank: int) -> Site:
    return Site(layer, "neuron", int(result.neuron[layer, rank]), stack=result.stack)


def _line(result: TokenNeurons, layer: int, rank: int) -> str:
    return (
        f"<b>{_site(result, layer, rank)}</b>"
        f"<br>activation {number(result.activation[layer, rank], sign=True)} "
        f"(peak {number(result.peak[layer, rank])})"
        f"<br>write {number(result.write[layer, rank])} stream units "
        f"(random neuron {number(result.random_write[layer])})"
        f"<br>writes {escaped(quoted(*result.writes[layer][rank][:4]))}"
        f"<br>suppresses {escaped(quoted(*result.suppresses[layer][rank][:4]))}"
    )
