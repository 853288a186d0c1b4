"""Neurons as a table to sort: a row opens the neuron's card."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import streamlit as st

from core.figures.wording import number, visible
from core.results.neuron_classes import CLASSES
from core.results.neuron_fires import NeuronFires
from core.results.neuron_map import NeuronMap
from core.results.neuron_search import NeuronSearch
from pages.shared import sides, state
from pages.shared.sections.neuron_map import Strip

MOST_ROWS = 1_000  # nobody reads further, and every rerun pays for them
HEIGHT = 330
NUMBERS = {
    "score": "mean z of the tokens asked for, over the words; negative: the neuron suppresses them",
    "margin": "z of the best token asked for minus z of the best other one, in standard deviations",
    "z": "score of the token it writes (or suppresses) most, in standard deviations",
    "size": "length of what it adds to the stream per unit of activation, stream units",
    "cos(in, out)": "cosine of what it reads with what it writes: + strengthens, − weakens",
    "precision": "share of its firings that fall on a target, on the half not used for choosing",
    "recall": "share of the targets on which it fires, on the half not used for choosing",
    "F1": "of precision and recall, on the half not used for choosing",
    "AUC": "chance that it is higher on a target than elsewhere; 0.5 is none",
}


def of_map(found: NeuronMap, strip: Strip, *, key: str) -> None:
    """Neurons by the statistic of the strip, the strongest first."""
    size = np.nan_to_num(np.abs(strip.values), nan=-1.0)
    order = np.argsort(-size, axis=None, kind="stable")[:MOST_ROWS]
    layers, neurons = np.unravel_index(order, size.shape)
    columns = {strip.column: strip.values[layers, neurons], "z": found.z[layers, neurons]}
    _draw(
        layers,
        neurons,
        {
            **columns,
            "writes": _pieces(found.read(found.first_id[layers, neurons])),
            "size": found.write_norm[layers, neurons],
            "cos(in, out)": found.linout[layers, neurons],
            "class": [CLASSES[code] for code in found.code[layers, neurons].tolist()],
        },
        key=key,
        stack=found.stack,
    )
    if size.size > MOST_ROWS:
        st.caption(f"The first {MOST_ROWS:,} of {size.size:,} neurons; search to see others.")


def of_search(found: NeuronSearch, *, key: str) -> None:
    """The neurons that speak most of what was asked for, best first."""
    _draw(
        found.layer,
        found.neuron,
        {
            "score": found.hit_score,
            "margin": found.margin,
            "its own tokens": [" ".join(_pieces(found.read(row))) for row in found.own_ids],
            "cos(in, out)": found.linout,
            "class": [CLASSES[code] for code in found.code.tolist()],
        },
        key=key,
        stack=found.stack,
    )


def of_fires(found: NeuronFires, all_neurons: NeuronMap, *, key: str) -> None:
    """The neurons that tell the tokens looked for from all others, best first."""
    at = (found.best_layer, found.best_neuron)
    _draw(
        *at,
        {
            "F1": found.best_f1,
            "precision": found.precision,
            "recall": found.recall,
            "AUC": found.best_auc,
            "fires": [
                f"{'above' if way > 0 else 'below'} {number(way * edge)}"
                for way, edge in zip(
                    found.best_direction.tolist(), found.threshold.tolist(), strict=True
                )
            ],
            "writes": _pieces(all_neurons.read(all_neurons.first_id[at])),
        },
        key=key,
        stack=found.stack,
    )


def hits(found: NeuronSearch | NeuronFires) -> tuple[np.ndarray, np.ndarray]:
    """(layers, neurons) of what was found, best first."""
    if isinstance(found, NeuronFires):
        return found.best_layer, found.best_neuron
    return found.layer, found.neuron


def _draw(
    layers: np.ndarray,
    neurons: np.ndarray,
    columns: Mapping[str, Sequence[object] | np.ndarray],
    *,
    key: str,
    stack: str,
) -> None:
    """The table; a chosen row selects its neuron."""
    prefix = "enc." if stack else ""
    places = list(zip(layers.tolist(), neurons.tolist(), strict=True))
    names = [f"{prefix}L{layer}.neuron[{unit}]" for layer, unit in places]
    frame = pd.DataFrame({"neuron": names, **columns})

    own = sides.key(key)

    def choose() -> None:
        rows = st.session_state[own].selection.rows
        if rows and rows[0] < len(places):
            layer, unit = places[rows[0]]
            state.select(layer=layer, neuron=unit)

    st.dataframe(
        frame,
        key=own,
        hide_index=True,
        height=HEIGHT,
        on_select=sides.bound(choose),
        selection_mode="single-row",
        column_config={
            name: st.column_config.NumberColumn(format="%.3g", help=about)
            for name, about in NUMBERS.items()
            if name in columns
        },
    )


def _pieces(pieces: Sequence[str]) -> list[str]:
    return [visible(piece, 20) for piece in pieces]
