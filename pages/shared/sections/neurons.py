"""The strongest neurons of every layer at the selected token, one click from the tray."""

import numpy as np
import streamlit as st

from core.figures import token_neurons as drawing
from core.results.token_neurons import TokenNeurons
from core.spec.interventions import Clamp
from core.spec.request import Request
from core.spec.site import Site
from pages.shared import state, tray
from pages.shared.notices import sentence
from pages.shared.panels import answer
from pages.shared.sections.framed import foot, framed
from pages.shared.sections.view import NEURONS, View, as_code
from pages.shared.tokens import NeuronRow, neuron_list

PER_LAYER = 6
HELP = (
    "MLP neurons at the selected token, by how far each moves the stream: |activation| times the "
    "length of what it writes. Activations are signed and in the model's own units; the bar "
    "compares them with the neuron's observed maximum. The words are what its output weights "
    "raise most when it is positive. + puts the neuron into the clamp tray, set to its observed "
    "maximum."
)
SHOWN = {"all": "strongest of every layer", "top": "strongest overall"}


def question(view: View) -> Request:
    return view.ask("token_neurons", k=PER_LAYER, **view.position)


def draw(view: View, grace: float) -> None:
    """The list of neurons."""
    if why := view.missing(NEURONS):
        sentence(why, "info")
        return
    request = question(view)
    result = answer(request, key="neurons", grace=grace, height=380)
    if not isinstance(result, TokenNeurons):
        return
    with framed("Strongest neurons", HELP, key="neurons"):
        order = state.chosen(
            st.selectbox, "Show", list(SHOWN), name="order",
            format_func=SHOWN.__getitem__, label_visibility="collapsed",
        )  # fmt: skip
        places = ranked(result, order)
        neuron_list(
            [_row(result, *place) for place in places],
            key="neurons",
            label="Strongest neurons at the selected token",
            on_clamp=lambda row: state.attempt(_clamp, result, *places[row]),
            on_open=lambda row: _open(result, *places[row]),
            picked=_picked(result, places),
        )
        foot(result, drawing.caption(result), key="neurons", python=as_code(request))


def ranked(result: TokenNeurons, order: str) -> list[tuple[int, int]]:
    """(layer, rank) of the neurons listed: two per layer from the top down, or the largest 12."""
    n_layers, k = result.neuron.shape
    if order == "all":
        return [(layer, rank) for layer in reversed(range(n_layers)) for rank in range(min(2, k))]
    flat = np.argsort(-result.write, axis=None, kind="stable")[:12]
    return [(int(i) // k, int(i) % k) for i in flat]


def _site(result: TokenNeurons, layer: int, rank: int) -> Site:
    return Site(layer, "neuron", int(result.neuron[layer, rank]), stack=result.stack)


def _row(result: TokenNeurons, layer: int, rank: int) -> NeuronRow:
    place = _site(result, layer, rank)
    return NeuronRow(
        site=str(place),
        activation=float(result.activation[layer, rank]),
        peak=float(result.peak[layer, rank]),
        writes=tuple(result.writes[layer][rank]),
        suppresses=tuple(result.suppresses[layer][rank]),
        clamped=any(change.site == place for change in state.workspace().active()),
    )


def _picked(result: TokenNeurons, places: list[tuple[int, int]]) -> int | None:
    chosen = state.workspace().selection
    wanted = (chosen.layer, chosen.neuron)
    found = [(layer, int(result.neuron[layer, rank])) for layer, rank in places]
    return found.index(wanted) if wanted in found else None


def _open(result: TokenNeurons, layer: int, rank: int) -> None:
    state.select(layer=layer, neuron=int(result.neuron[layer, rank]))


def _clamp(result: TokenNeurons, layer: int, rank: int) -> None:
    """Into the tray at its observed maximum, with the sign it has here."""
    place, peak = _site(result, layer, rank), float(result.peak[layer, rank])
    sign = -1.0 if float(result.activation[layer, rank]) < 0 else 1.0
    tray.add(Clamp(place, sign * peak), unit=peak)
    _open(result, layer, rank)
