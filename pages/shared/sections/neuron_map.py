"""All neurons of model A in one strip, a row a layer: click one to open its card."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from core.figures import neuron_strip
from core.results.base import Result
from core.spec.request import Request
from pages.shared import state
from pages.shared.panels import panel
from pages.shared.sections.view import as_code

HELP = (
    "Every neuron of the model, a row a layer; the colour is the statistic chosen above. Drag to "
    "zoom, double-click to see all again. A click opens the neuron's card, and so do the arrow "
    "keys and Enter. Where there are more neurons than columns, a cell shows the strongest."
)


@dataclass(frozen=True, slots=True)
class Strip:
    """One number of every neuron: what colours the strip and orders the table."""

    values: np.ndarray  # [layer, neuron], NaN is no value
    column: str  # its name in the table
    figure: go.Figure
    caption: str  # control and sample
    result: Result
    request: Request


def draw(strip: Strip, *, key: str) -> None:
    """The strip of all neurons; `key` is the one its answer was asked under."""
    selection = state.workspace().selection
    panel(
        strip.result,
        strip.figure,
        key=key,
        title="All neurons",
        help=HELP,
        caption=strip.caption,
        picked=cell_of(strip.values.shape, selection.layer, selection.neuron),
        on_pick=lambda cell: _open(strip.values, cell),
        python=as_code(strip.request),
    )


def cell_of(shape: tuple[int, ...], layer: int, neuron: int | None) -> tuple[int, int] | None:
    """(layer, column) of a neuron in the strip; None when none is selected, or not here."""
    if neuron is None or layer >= shape[0] or neuron >= shape[1]:
        return None
    return layer, neuron // -(-shape[1] // neuron_strip.COLUMNS)


def _open(values: np.ndarray, cell: Sequence[int]) -> None:
    _, neurons = neuron_strip.pooled(values)
    layer, column = cell
    state.select(layer=int(layer), neuron=int(neurons[layer, column]))
