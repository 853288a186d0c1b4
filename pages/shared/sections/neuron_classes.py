"""What neurons do with what they read: classes over depth, and the neurons of one layer."""

from collections.abc import Sequence

import streamlit as st

from core.figures import neuron_classes as drawing
from core.results.neuron_classes import NeuronClasses
from core.spec.request import Request, ask
from core.spec.site import Site
from pages.shared import sides, state
from pages.shared.panels import answer, panel
from pages.shared.sections.drawn import drawn
from pages.shared.sections.view import View, as_code

HELP = (
    "A neuron reads one direction and writes another. Where the two point the same way it "
    "strengthens what it found, where they are opposite it weakens it; a gate at right angles to "
    "both makes that conditional. Cosines beyond 0.5 count. Dashed: the same count for vectors of "
    "different neurons put together. The rest of the neurons write something else than they read."
)
SCATTER_HELP = (
    "Each point is a neuron of the selected layer. Grey: where 95 % of mismatched pairs lie. "
    "Signs are turned so that cos(gate, in) is positive, which leaves a neuron what it is. "
    "Click a point to open its card."
)


def question(view: View) -> Request:
    return ask("neuron_classes", view.model, stack=view.stack)


def draw(view: View, site: Site, grace: float) -> None:
    """Classes over depth, and the neurons of one layer: that of the neuron on the card."""
    request = question(view)
    found = answer(request, key="classes", grace=grace, height=420)
    if not isinstance(found, NeuronClasses):
        return
    layer = site.layer
    left, right = sides.columns(2, gap="medium")
    with left:
        panel(
            found,
            drawn(drawing.figure, found),
            key="classes",
            title="Classes over depth",
            help=HELP,
            caption=drawing.caption(found),
            python=as_code(request),
        )
    with right:
        panel(
            found,
            drawn(drawing.figure, found, view="neurons", layer=layer),
            key="classes_layer",
            title=f"Neurons of layer {layer}",
            help=SCATTER_HELP,
            caption="control: grey, 95 % of mismatched pairs of the layer",
            grid=False,
            on_pick=(lambda point: _open(layer, point)) if found.gated else None,
            python=as_code(request),
        )
        state.field(
            st.number_input, "Layer", key="classes_layer_input", value=layer,
            then=lambda to: state.select(layer=to, neuron=site.unit),
            min_value=0, max_value=len(found.count) - 1, step=1, width=110,
        )  # fmt: skip


def _open(layer: int, point: Sequence[int]) -> None:
    state.select(layer=layer, neuron=int(point[0]))
