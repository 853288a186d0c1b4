"""All neurons on one text: at a token, over the text, and what they add to the answer."""

import numpy as np
import plotly.graph_objects as go

from core.figures import neuron_strip
from core.figures.theme import Look
from core.figures.wording import count, number, quoted
from core.results.neuron_activity import NeuronActivity
from core.spec.errors import Error

# show: (field, quantity and unit, diverging)
SHOWN = {
    "activation": ("activation", "activation", True),
    "peak": ("peak", "strongest activation over the text", True),
    "write": ("write", "size of the write (stream units)", False),
    "direct": ("direct", "direct effect on the answer (logits)", True),
    "variance": ("variance_share", "share of the layer's variance", False),
}


def figure(
    result: NeuronActivity, look: Look, *, show: str = "peak", limit: float | None = None
) -> go.Figure:
    """A row a layer, a column a neuron (or the strongest of a group, whose number is customdata).

    show   a quantity of `SHOWN`; limit: the value of full colour
    """
    if show not in SHOWN:
        raise Error(f"the map can show {', '.join(SHOWN)}, not {show[:20]!r}")
    if show == "direct" and result.why_not:
        raise Error(f"there is no direct effect to show: {result.why_not}")
    field, words, diverging = SHOWN[show]
    return neuron_strip.figure(
        getattr(result, field),
        look,
        title=title(result),
        words=words,
        diverging=diverging,
        limit=limit,
    )


def title(result: NeuronActivity) -> str:
    """The neuron that speaks most for the answer; else the one that writes most."""
    at = quoted(result.tokens[result.position])
    if result.why_not:
        site = _site(result, result.write)
        return f"At {at} {site} writes most to the stream"
    site = _site(result, result.direct)
    return (
        f"At {at} {site} speaks most for the answer {quoted(result.answer)}: "
        f"{number(result.direct.max(), sign=True)} logits"
    )


def caption(result: NeuronActivity) -> str:
    """The control and the sample, in words."""
    sample = f"token {result.position} of {count(len(result.tokens), 'token')}"
    if result.why_not:
        return f"{sample}; no direct effect and so no control: {result.why_not}"
    return (
        f"{sample}; answer {quoted(result.answer)} at p = {number(result.answer_probability)}; "
        f"control, {count(result.n_random, 'random token')} for the answer: a layer's largest "
        f"effect is {number(result.random_direct.mean())} on average; direct way only, norms as "
        "they are here"
    )


def _site(result: NeuronActivity, values: np.ndarray) -> str:
    layer, neuron = np.unravel_index(int(np.nanargmax(values)), values.shape)
    return f"{result.stack + '.' if result.stack else ''}L{layer}.neuron[{neuron}]"
