"""Are neuron j of model A and neuron j of model B the same neuron? Layer by layer, with chance."""

import pandas as pd
import streamlit as st

from core.figures import neuron_match as drawing
from core.figures.wording import visible
from core.results.neuron_match import NeuronMatch
from core.spec.request import Request, ask
from pages.shared import sides, state
from pages.shared.notices import sentence, small
from pages.shared.panels import answer, panel
from pages.shared.sections.drawn import drawn
from pages.shared.sections.view import View, as_code

HELP = (
    "Two models of one architecture, e.g. a base model and its fine-tune: the share of neurons "
    "whose first token is the same in both, vector by vector. For the up projections of a Llama "
    "3.1 8B and its instruct model 75.4 % were reported. Dashed: neuron j against neuron j + 1, "
    "which is what chance gives."
)
TEACH = (
    "Choose model B in the sidebar: a fine-tune or a checkpoint of model A. (With the embedded "
    "model take embedded-tuned.) Then every neuron of A is compared with its twin in B."
)


def question(view: View) -> Request | None:
    models = state.workspace().models
    if len(models) < 2:
        return None
    b = models[1]
    other = (b.name, b.revision, b.dtype) if b.revision or b.dtype else b.name
    return ask("neuron_match", view.model, other=other, stack=view.stack, **view.against)


def draw(view: View, grace: float) -> None:
    request = question(view)
    if request is None:
        sentence(TEACH, "info")
        return
    found = answer(request, key="match", grace=grace, height=420)
    if isinstance(found, NeuronMatch):
        left, right = sides.columns(2, gap="medium")
        with left:
            panel(
                found,
                drawn(drawing.figure, found),
                key="match",
                title="The same neurons in both models",
                help=HELP,
                caption=drawing.caption(found),
                python=as_code(request),
            )
        with right:
            _changed(found)


def _changed(found: NeuronMatch) -> None:
    st.html(small("Neurons that changed most", strong=True))
    at = (found.changed_weight, found.changed_layer, found.changed_neuron)
    places = list(zip(found.changed_layer.tolist(), found.changed_neuron.tolist(), strict=True))
    frame = pd.DataFrame(
        {
            "neuron": [f"L{layer}.neuron[{unit}]" for layer, unit in places],
            "vector": [found.weights[weight] for weight in found.changed_weight.tolist()],
            "moved": found.distance[at],
            "cosine": found.cosine[at],
            "in A": [_tokens(found, row[0]) for row in found.changed_ids],
            "in B": [_tokens(found, row[1]) for row in found.changed_ids],
        }
    )
    key = "match_table"

    def choose() -> None:
        rows = st.session_state[key].selection.rows
        if rows and rows[0] < len(places):
            layer, unit = places[rows[0]]
            state.select(layer=layer, neuron=unit)

    about = {"moved": "distance of the two vectors over their mean length", "cosine": "of the two"}
    st.dataframe(
        frame,
        key=key,
        hide_index=True,
        height=420,
        on_select=choose,
        selection_mode="single-row",
        column_config={
            name: st.column_config.NumberColumn(format="%.3g", help=help_)
            for name, help_ in about.items()
        },
    )


def _tokens(found: NeuronMatch, ids: object) -> str:
    return " ".join(visible(piece, 16) for piece in found.read(ids))  # type: ignore[arg-type]
