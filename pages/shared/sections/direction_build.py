"""A concept's direction: how it is built, how well it separates by layer, and the chosen layer."""

import html
from dataclasses import replace
from typing import Any

import numpy as np
import streamlit as st

from core.figures import direction as drawing
from core.figures.wording import number, quoted
from core.results.direction import DirectionResult, short
from core.spec.concept import Concept
from core.spec.interventions import Add, Change, Project
from core.spec.links import to_query
from core.spec.request import ModelRef, Request, ask
from core.spec.site import Site, site
from core.spec.workspace import Workspace
from pages.shared import sides, state, tray
from pages.shared.notices import code, sentence
from pages.shared.panels import answer, panel
from pages.shared.sections import direction_files
from pages.shared.sections.concept import option
from pages.shared.sections.drawn import drawn
from pages.shared.sections.view import as_code

METHODS = {
    "difference": "difference of means",
    "logistic": "logistic regression",
    "pca": "principal component of the pairs",
    "lda": "Fisher's discriminant",
    "token": "what raises a token",
    "neuron": "what a neuron writes",
    "random": "random",
    "given": "from a file",
    "shift": "what model B changed",
}
READS = {"last": "last token", "mean": "mean over the text", "-2": "last but one token"}
LIKE = {
    "token": ("Token", "the word; of several tokens the mean of its pieces", " she"),
    "neuron": ("Neuron", "its site, such as L3.neuron[17]", "L3.neuron[17]"),
}
HELP = (
    "How well the direction of each layer tells held-out items apart (AUC, solid), beside the same "
    "with shuffled labels (grey: 5 to 95 %). Dashes: the cosine between the directions of two "
    "random halves of the items; below 0.5 the direction is mostly noise, however well it seems to "
    "separate. The layer that separates best need not be the one that steers best: see “Push it”. "
    "Click a point to look at its layer."
)
MOST_PUSH = 3.0
NEURONS = 6


def controls() -> None:
    """Method, which state counts, and what fixed methods need."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        method = state.chosen(
            st.selectbox, "Built by", list(METHODS), name="method", format_func=METHODS.__getitem__
        )
        state.chosen(
            st.selectbox, "State of a text", list(READS), name="read", width=190,
            format_func=READS.__getitem__,
        )  # fmt: skip
        if method in LIKE:
            label, help_, placeholder = LIKE[method]
            state.chosen(st.text_input, label, name="like", help=help_, placeholder=placeholder)


def question(model: ModelRef, concept: Concept) -> Request | str:
    """The question that is chosen, or what is missing for it, in a sentence."""
    work = state.workspace()
    method = work.choice("method")
    asked: dict[str, Any] = {
        "concept": option(concept),
        "position": work.choice("read"),
        "seed": work.seed,
    }
    if method in LIKE:
        if not work.choice("like").strip():
            return f"Which {method}? Write {LIKE[method][1]}."
        asked[method] = work.choice("like")
        return ask("direction", model, method=method, **asked)
    if method == "given":
        handed = direction_files.handed()
        if handed is None:
            return "Open a file with directions under “Save, load” below."
        return ask("direction", model, method=method, vectors=handed, **asked)
    if method == "shift":
        if not sides.first():
            return "The shift from A to B is a direction of A; another method gives one here too."
        if len(work.models) < 2:
            return "Choose model B in the sidebar: the shift leads from model A to it."
        return ask("direction", model, other=str(work.models[1]), **asked)
    return ask("direction", model, method=method, **asked)


def draw(request: Request, grace: float) -> DirectionResult | None:
    """The curve over layers and beside it the card of one layer."""
    found = answer(request, key="direction", grace=grace, height=340)
    if not isinstance(found, DirectionResult):
        return None
    layer = chosen(found)
    left, right = sides.columns([11, 9], gap="medium")
    with left:
        panel(
            found,
            drawn(drawing.figure, found, layer=layer),
            key="direction",
            title="How well it separates, layer by layer",
            help=HELP,
            caption=drawing.caption(found),
            grid=False,
            on_pick=lambda cell: _choose(int(cell[0])),
            python=as_code(request),
        )
    with right:
        _card(found, layer)
        _into_tray(found, layer)
    return found


def chosen(found: DirectionResult) -> int:
    """The layer that is looked at: the chosen one, else the one that separates best."""
    text = state.workspace().choice("at")
    if not text.isdecimal() or len(text) > 5:
        return found.best
    return min(sides.here().layer(int(text)), found.n_layers - 1)


def _choose(layer: int) -> None:
    of_a = sides.here().layer_of_a(layer)
    state.set_workspace(state.workspace().with_choice("at", str(of_a)))


def _card(found: DirectionResult, layer: int) -> None:
    """What is known of the direction of one layer, with the chance level of each number."""
    state.field(
        st.number_input, "Layer of the direction", key="direction_layer", value=layer,
        then=_choose, min_value=0, max_value=found.n_layers - 1, step=1, width=190,
    )  # fmt: skip
    rows = "".join(f"<div>{line}</div>" for line in _facts(found, layer))
    st.html(
        f'<div class="eido-card"><div class="eido-card-head">L{layer}.resid_post</div>{rows}</div>'
    )
    st.caption(
        f"Neurons that write most like it (a random direction reaches "
        f"{number(found.control_neuron_cosine[layer])}):"
    )
    with st.container(horizontal=True, gap="small"):
        for rank, name in enumerate(found.neurons[layer][:NEURONS]):
            value = number(found.neuron_cosine[layer, rank], sign=True)
            st.page_link(
                "pages/neurons.py",
                label=f"{code(name)} {value}",
                query_params=to_query(_at_neuron(state.workspace(), name)),
            )


def _facts(found: DirectionResult, layer: int) -> list[str]:
    control = found.control_separation[layer]
    halves = found.split_half[layer]
    lines = [
        f"AUC {number(found.separation[layer])} on held-out items (shuffled "
        f"{number(control.mean() if control.size else np.nan)})",
        f"two halves agree to {number(halves)}"
        + ("" if found.stable(layer) else " · unstable: mostly noise"),
        f"class means {number(found.gap[layer])} apart along it, spread within a class "
        f"{number(found.spread[layer])}; mean length {number(found.mean_norm[layer])}",
    ]
    if found.raises[layer]:
        lines += [
            f"raises {quoted(*found.raises[layer][:6])} ({number(found.raise_score[layer, 0])}; a "
            f"random direction {number(found.control_score[layer])})",
            f"lowers {quoted(*found.lowers[layer][:6])}",
        ]
    return [html.escape(line, quote=True) for line in lines]


def _at_neuron(work: Workspace, name: str) -> Workspace:
    place = site(name)
    chosen = replace(work.selection, layer=place.layer, neuron=place.unit)
    return replace(work, selection=chosen)


def push() -> float:
    """How far to push, in mean lengths of the stream."""
    try:
        return min(MOST_PUSH, max(-MOST_PUSH, float(state.workspace().choice("push"))))
    except ValueError:
        return 0.25


def _into_tray(found: DirectionResult, layer: int) -> None:
    """Push the stream along the direction, or take it out, on every page."""
    if not np.any(found.direction[layer]):
        sentence("Nothing differs here, so there is no direction to add.", "info")
        return
    if not sides.first():
        return  # a direction is of the width of its model, and the clamps stand once
    place = Site(layer, "resid_post", stack=found.stack)
    vector, unit = tuple(short(found.direction[layer])), float(found.mean_norm[layer])
    with st.container(horizontal=True, vertical_alignment="bottom"):
        state.field(
            st.slider, "Push (mean lengths of the stream)", -1.0, 1.0, key="direction_push",
            value=min(1.0, max(-1.0, push())), then=_take_push, step=0.05, width=240,
        )  # fmt: skip
        strength = float(f"{push() * unit:.6g}")
        for label, change, help_ in (
            ("+ push", Add(place, vector, strength), "Add the direction at every token."),
            ("+ take out", Project(place, vector), "Project the direction out at this layer."),
        ):
            st.button(
                label, key=f"tray_{label[2:]}", help=f"{help_} It goes into the clamps.",
                on_click=state.attempt, args=(_add, change, unit),
            )  # fmt: skip
    natural = found.gap[layer] / unit if unit else np.nan
    st.caption(f"The class means lie {number(natural)} mean lengths apart.")


def _add(change: Change, unit: float) -> None:
    tray.add(change, unit if isinstance(change, Add) else 0.0)


def _take_push(value: float) -> None:
    state.set_workspace(state.workspace().with_choice("push", f"{value:g}"))
