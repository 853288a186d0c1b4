"""All neurons of model A in one strip, a row a layer: click one to open its card."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from core.figures import neuron_strip
from core.figures.wording import count, number
from core.results.base import Result
from core.results.neuron_map import NeuronMap
from core.spec.request import Request
from pages.shared import state
from pages.shared.clicks import pickable_chart
from pages.shared.panels import look
from pages.shared.sections.framed import foot, framed
from pages.shared.sections.view import as_code

HELP = (
    "Every neuron of the model, a row a layer; the colour is the statistic chosen above. Drag to "
    "zoom, double-click to see all again. A click opens the neuron's card, and so do the arrow "
    "keys and Enter. Where there are more neurons than columns, a cell shows the strongest."
)


@dataclass(frozen=True, slots=True)
class Statistic:
    """One number of every neuron: what colours the strip and orders the table."""

    values: np.ndarray  # [layer, neuron], NaN is no value
    title: str  # what is seen, plain text
    words: str  # quantity and unit
    column: str  # its name in the table
    diverging: bool  # both signs mean something
    control: str  # control and sample, in words
    result: Result  # where it is from
    request: Request

    def __post_init__(self) -> None:
        assert self.values.ndim == 2


def draw(shown: Statistic, *, key: str, asked_as: str) -> None:
    """The strip of all neurons by one statistic."""
    selection = state.workspace().selection
    with framed("All neurons", HELP, key=key, shows=shown.title):
        pickable_chart(
            _figure(shown),
            key=f"{key}_chart",
            label=f"All neurons by {shown.words}",
            on_pick=lambda cell: _open(shown.values, cell),
            picked=cell_of(shown.values.shape, selection.layer, selection.neuron),
        )
        n = int(np.isfinite(shown.values).sum())
        told = f"{shown.control}; {count(n, 'neuron')}"
        foot(shown.result, told, key=key, python=as_code(shown.request), asked_as=asked_as)


def cell_of(shape: tuple[int, ...], layer: int, neuron: int | None) -> tuple[int, int] | None:
    """(layer, column) of a neuron in the strip; None when none is selected, or not here."""
    if neuron is None or layer >= shape[0] or neuron >= shape[1]:
        return None
    return layer, neuron // -(-shape[1] // neuron_strip.COLUMNS)


def _figure(shown: Statistic) -> go.Figure:
    return neuron_strip.figure(
        shown.values, look(), title=shown.title, words=shown.words, diverging=shown.diverging
    )


def _open(values: np.ndarray, cell: Sequence[int]) -> None:
    _, neurons = neuron_strip.pooled(values)
    layer, column = cell
    state.select(layer=int(layer), neuron=int(neurons[layer, column]))


def written(found: NeuronMap, request: Request) -> Statistic:
    """How far the first token of each neuron sticks out of the vocabulary."""
    share, null = float(found.decodable_share.mean()), number(float(found.null_z.mean()))
    return Statistic(
        values=found.z,
        title="How clearly each neuron writes one token (blue: how clearly it suppresses one)",
        words="z of the first token",
        column="z",
        diverging=True,
        control=(
            f"control: 99 % of {found.n_null:,} random vectors a layer stay below |z| = {null}; "
            f"{share:.0%} of the neurons lie above; {found.n_vocabulary:,} tokens"
        ),
        result=found,
        request=request,
    )


def alike(found: NeuronMap, request: Request) -> Statistic:
    """Whether each neuron adds to what it reads, or takes it away."""
    return Statistic(
        values=found.linout,
        title="Whether each neuron strengthens (+) or weakens (−) what it reads",
        words="cos(in, out)",
        column="cos(in, out)",
        diverging=True,
        control="control: the band of mismatched pairs, on each card and in Classes over depth",
        result=found,
        request=request,
    )


def large(found: NeuronMap, request: Request) -> Statistic:
    """How much each neuron adds to the stream when it is on."""
    return Statistic(
        values=found.write_norm,
        title="How much each neuron adds to the stream per unit of activation",
        words="length of the write vector (stream units)",
        column="size",
        diverging=False,
        control="the others of the layer are the comparison",
        result=found,
        request=request,
    )
