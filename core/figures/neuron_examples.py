"""All neurons on a corpus: how often they fire, how far they go, how sure their word is."""

import numpy as np
import plotly.graph_objects as go

from core.figures import neuron_strip
from core.figures.theme import Look
from core.figures.wording import count, number
from core.results.neuron_examples import NeuronExamples
from core.spec.errors import Error

# show: (field, quantity and unit)
SHOWN = {
    "density": ("density", "share of tokens on which it fires"),
    "density_negative": ("density_negative", "share of tokens on which it fires below zero"),
    "p999": ("p999", "99.9th percentile of |activation|"),
    "largest": ("largest", "largest activation"),
    "top_share": ("top_share", "share of its peaks on one token"),
}


def figure(
    result: NeuronExamples, look: Look, *, show: str = "density", limit: float | None = None
) -> go.Figure:
    """A row a layer, a column a neuron (or the strongest of a group, whose number is customdata).

    show   a statistic of `SHOWN`
    limit  the value of full colour, when several maps stand side by side
    """
    if show not in SHOWN:
        raise Error(f"the map can show {', '.join(SHOWN)}, not {show[:20]!r}")
    field, words = SHOWN[show]
    own = getattr(result, field)
    # Layers that were not read stay empty, so that a row's number is its layer.
    values = np.full((max(result.layers) + 1, own.shape[1]), np.nan, dtype=np.float32)
    values[list(result.layers)] = own
    return neuron_strip.figure(
        values,
        look,
        title=title(result),
        words=words,
        diverging=show == "largest",
        limit=1.0 if show == "top_share" and limit is None else limit,
    )


def title(result: NeuronExamples) -> str:
    """How many neurons are about one token, more than chance makes them."""
    share = result.top_share[np.isfinite(result.top_share)]
    beyond = float((share > result.random_share[1]).mean()) if share.size else 0.0
    return (
        f"{beyond:.0%} of neurons are strongest on one token, beyond chance; the median fires on "
        f"{float(np.median(result.density)):.1%} of tokens"
    )


def caption(result: NeuronExamples) -> str:
    """The control and the sample, in words."""
    mean, high = result.random_share
    more = ", the corpus goes on" if result.cut else ""
    return (
        f"{count(result.n_tokens, 'token')} of {result.corpus} in "
        f"{count(result.n_contexts, 'context')}{more}; fires: above a tenth of its largest value; "
        f"control, {result.n_listed} random tokens: {number(mean)} on one token, "
        f"{number(high)} in 1 of 100"
    )
