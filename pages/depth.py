"""Depth: from which layer on a concept can be read, beside words, shuffled labels and the rest."""

from functools import partial

import streamlit as st

from pages.shared import pickers, state, tray
from pages.shared.frame import page
from pages.shared.notices import sentence
from pages.shared.sections import (
    depth_curve,
    depth_layer,
    depth_lens,
    depth_many,
    depth_meaning,
    depth_pairs,
    depth_probes,
    depth_sites,
    depth_training,
    depth_transfer,
    labelled,
)
from pages.shared.sections.beside import over_models
from pages.shared.sections.view import Patience

PATIENCE = 0.9  # seconds one run waits for answers in all; what takes longer comes by itself
VIEWS = {
    "one": "One set of texts",
    "many": "Several beside each other",
    "probes": "Probes",
    "transfer": "Transfer",
    "sites": "Heads and sites",
    "training": "Training and size",
    "pairs": "Minimal pairs",
    "meaning": "Other meanings",
    "lens": "Lens",
}

# Views that bring their own texts, drawn for every model beside each other.
ALONE = {
    "transfer": depth_transfer,
    "lens": depth_lens,
    "pairs": depth_pairs,
    "meaning": depth_meaning,
}


def one(patience: Patience) -> None:
    """The curve of the chosen set and, below it, the layer that is looked into."""
    given = labelled.draw()
    depth_curve.controls(given)
    if given is None:
        return
    found = depth_curve.draw(given, patience)
    if found is not None:
        depth_layer.draw(found, given)


with page("depth") as work:
    patience = Patience(PATIENCE)
    tray.set_aside()
    model = work.models[0]
    loading = pickers.card_job(model)
    view = state.chosen(
        st.segmented_control, "Texts", list(VIEWS), name="depths",
        format_func=VIEWS.__getitem__, label_visibility="collapsed",
    )  # fmt: skip
    if loading.state == "failed":
        sentence(f"{model}: {loading.error}")
        st.button("Try again", key="load_again", on_click=pickers.load_again, args=(model,))
    elif view == "one":
        one(patience)
    elif view == "many":
        depth_many.draw(work.models, patience)
    elif view == "training":
        depth_training.draw(work.models, labelled.draw(), patience)
    elif view == "probes":
        given = labelled.draw()
        depth_probes.controls(given)
        if given is not None:
            over_models(work, partial(depth_probes.draw, given=given, patience=patience))
    elif view == "sites":
        texts = labelled.draw()
        depth_sites.controls(texts)
        if texts is not None:
            over_models(work, partial(depth_sites.draw, given=texts, patience=patience))
    else:
        ALONE[view].controls()
        over_models(work, lambda each: ALONE[view].draw(each, patience))
