"""The map: where the words lie at every depth, with a slider, a lasso, and what chance shows."""

from functools import partial

import numpy as np
import streamlit as st

from core.figures import layer_map as drawing
from core.figures.probe_family import state as depth_name
from core.figures.wording import number, readable
from core.results.layer_map import LayerMap
from core.spec.request import ModelRef, Request, ask
from pages.shared import sides, state
from pages.shared.cloud import cloud
from pages.shared.notices import shown_text, small
from pages.shared.panels import answer, look
from pages.shared.sections import concept_set, geometry_lasso, ways
from pages.shared.sections.concept_set import Chosen
from pages.shared.sections.drawn import drawn
from pages.shared.sections.framed import foot, framed
from pages.shared.sections.one_figure import one_figure
from pages.shared.sections.view import Patience, as_code
from pages.shared.sections.ways import Way

MAP = (
    "Every point is a word in its contexts, coloured by its group. Move the slider, or play it: "
    "each layer's map is turned onto the one before, so that a point that moves is a state that "
    "moves. Grey: words on axes made for shuffled labels; in many dimensions those also lie apart. "
    "The silhouette of words that the axes were not made from is the evidence. Click a word to "
    "see its neighbours; draw a lasso (in two dimensions) to name a set or make a direction."
)
WAYS = {
    "map": Way("map", MAP),
    "depth": Way(
        "layer by layer",
        "Share of the variance on the axes, silhouette of the groups and trustworthiness (are near "
        "ones in the picture near in truth) at every depth, each beside chance: shuffled "
        "dimensions, shuffled labels, random places.",
    ),
    "null": Way(
        "beside chance",
        "The map and, beside it, the one made the same way for shuffled labels.",
    ),
}
MODES = {
    "": "class means (PCA)",
    "layer": "each layer (PCA)",
    "basis": "one layer for all (PCA)",
    "neighbours": "nearest neighbours (UMAP)",
}
PLAIN = {"": "each layer (PCA)", "basis": MODES["basis"], "neighbours": MODES["neighbours"]}
DIMS = {"2": "2-D", "3": "3-D"}
NEAR = 8
_DRAWN_AT = "_map_drawn_at"  # (question, layer) the figure on screen was made for


def question(model: ModelRef, given: Chosen) -> Request:
    """The map that is chosen."""
    work = state.workspace()
    options = given.options() | {"prepare": work.choice("prepare"), "seed": work.seed}
    mode = work.choice("mapped")
    if mode:
        options["mode"] = mode
    if mode == "basis" and _row() is not None:
        options["layer"] = _row()
    return ask("layer_map", model, dims=int(work.choice("dims")), **options)


def draw(model: ModelRef, given: Chosen, patience: Patience) -> None:
    several = sum(bool(group.items) for group in given.one.groups) > 1
    modes = MODES if several or given.one.kind == "pairs" else PLAIN
    with st.container(horizontal=True, vertical_alignment="bottom"):
        view, help_ = ways.chosen(WAYS)
        state.chosen(
            st.selectbox, "Axes", list(modes), name="mapped", width=220,
            format_func=modes.__getitem__,
        )  # fmt: skip
        state.chosen(
            st.selectbox, "States", list(concept_set.PREPARED), name="prepare", width=210,
            format_func=concept_set.PREPARED.__getitem__,
        )  # fmt: skip
        state.chosen(
            st.segmented_control, "Dimensions", list(DIMS), name="dims",
            format_func=DIMS.__getitem__, label_visibility="collapsed",
        )  # fmt: skip
    request = question(model, given)
    found = answer(request, key="map", grace=patience.left(), height=700)
    if not isinstance(found, LayerMap):
        return
    if view != "map":
        row = _shown(found)
        one_figure(
            request, drawing, key="map", title=given.one.name, help=help_, grace=0.0, height=700,
            view=view, layer=int(found.layers[row]),
        )  # fmt: skip
        return
    _map(found, request, given, help_)


def _map(found: LayerMap, request: Request, given: Chosen, help_: str) -> None:
    row = _shown(found)
    with framed(given.one.name, help_, key="map", shows=drawing.title(found)):
        drawn_at = _drawn_at(request, int(found.layers[row]))
        places, moving = drawing.gliding(found)
        cloud(
            drawn(drawing.figure, found, layer=drawn_at, moving=False),
            places,
            moving,
            n_items=len(found.words),
            key="map",
            label=f"Map of {given.one.name}",
            layer=row,
            names=[depth_name(int(layer)) for layer in found.layers],
            notes=_notes(found),
            on_layer=partial(_take_layer, found),
            on_pick=partial(_take_word, found),
            on_lasso=partial(geometry_lasso.take, found),
        )
        foot(found, drawing.caption(found), key="map", python=as_code(request))
    if sides.first():
        geometry_lasso.draw(request.model, found, given, int(found.layers[row]))
    _near(found, row)


def _drawn_at(request: Request, layer: int) -> int:
    """The layer the figure is made for: the same as long as the question is, or it would be sent
    anew and lose its camera."""
    key = sides.key("map")
    held: dict[str, tuple[str, bool, int]] = st.session_state.setdefault(_DRAWN_AT, {})
    now = (request.key(), look().dark)
    if key not in held or held[key][:2] != now:
        held[key] = (*now, layer)
    return held[key][2]


def _row() -> int | None:
    text = state.workspace().choice("row")
    return int(text) if text.isdecimal() and len(text) < 6 else None


def _shown(found: LayerMap) -> int:
    """Row of the depth that is looked at: the chosen one, else where the groups come apart."""
    chosen = _row()
    if chosen is None:
        return found.best
    return int(np.abs(found.layers - chosen).argmin())


def _notes(found: LayerMap) -> list[str]:
    """What is said below the slider at every depth."""
    notes = []
    for row in range(len(found.layers)):
        parts = []
        if np.isfinite(found.explained[row]).any():
            parts.append(f"axes hold {np.nansum(found.explained[row]):.0%} of the variance")
        held = np.isfinite(found.held_out[row])
        score = found.held_out[row] if held else found.silhouette[row]
        null = found.null_held_out[row] if held else found.null_silhouette[row]
        if np.isfinite(score):
            what = "silhouette of held-out words" if held else "silhouette"
            parts.append(f"{what} {number(score)} (shuffled labels {number(np.nanmean(null))})")
        parts.append(
            f"trustworthiness {number(found.trust[row])} (random {number(found.null_trust[row])})"
        )
        notes.append("; ".join(parts))
    return notes


def _take_layer(found: LayerMap, row: int) -> None:
    if 0 <= row < len(found.layers):
        state.choose("row", str(int(found.layers[row])))


def _take_word(found: LayerMap, item: int) -> None:
    if 0 <= item < len(found.words):
        state.choose("word", found.words[item])


def _near(found: LayerMap, row: int) -> None:
    """The nearest words of the one that was clicked, in the picture."""
    word = state.workspace().choice("word")
    if word not in found.words:
        return
    item = found.words.index(word)
    apart = np.linalg.norm(found.places[row] - found.places[row, item], axis=1)
    order = [int(i) for i in np.argsort(apart) if i != item][:NEAR]
    named = ", ".join(shown_text(readable(found.words[i]), 24) for i in order)
    group = found.groups[int(found.group[item])] if len(found.groups) > 1 else ""
    where = f" ({shown_text(group, 30)})" if group else ""
    st.html(
        small(
            f"{shown_text(readable(word), 40)}{where} lies nearest to {named} "
            f"behind {depth_name(int(found.layers[row]))}, in the picture."
        )
    )
