"""Which heads and sites carry what a labelled set asks for: a probe at each of them."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from core.figures import probe_sites as drawing
from core.results.probe_sites import ProbeSites
from core.spec.interventions import Ablate
from core.spec.request import ModelRef, Request, ask
from core.spec.site import Site
from pages.shared import sides, state, tray
from pages.shared.menu import entry
from pages.shared.notices import small
from pages.shared.sections import depth_curve
from pages.shared.sections.begun import begun
from pages.shared.sections.labelled import Given
from pages.shared.sections.one_figure import one_figure, way
from pages.shared.sections.view import Patience, as_code

TEACH = (
    "A probe at every head's output, at what attention and MLP add and at the stream between. Of "
    "many places the best is high by chance alone, so each is held against the best of all under "
    "shuffled labels. Seconds on the embedded model, minutes on a large one."
)
MAP = (
    "Held-out AUC of a ridge probe. Marked is what lies above the best of all heads (or of all "
    "sites) in 19 of 20 shuffles of the labels: with that many places some are high by chance. "
    "Below 0.5 the probe is turned round. A place that can be read need not be one that is used: "
    "ablate it and see. Click a head to select it, a site to look into its layer."
)
RANKED = (
    "The highest places with their 95 % intervals; grey: the same place on shuffled labels; "
    "dotted: what the best of all heads, or of all other sites, reaches on them in 1 of 20."
)
WAYS = {"heads": "heads", "sites": "sites", "ranked": "the highest"}


def question(model: ModelRef, option: tuple[str, object]) -> Request:
    work = state.workspace()
    asked: dict[str, Any] = {option[0]: option[1], "seed": work.seed}
    if work.choice("fresh") == "yes":
        asked["untrained"] = True
    return ask("probe_sites", model, position=work.choice("read"), **asked)


def controls(given: Given | None) -> None:
    """Which state counts, and whether fresh weights are asked too."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        reads = depth_curve.reads(given)
        state.chosen(
            st.selectbox, "State of a text", list(reads), name="read", width=190,
            format_func=reads.__getitem__,
        )  # fmt: skip
        fresh_too()


def draw(model: ModelRef, given: Given, patience: Patience) -> None:
    request = question(model, given.option)
    found = begun(
        request, key="sites", label="Probe every head and site", teach=TEACH,
        grace=patience.left(), height=320,
    )  # fmt: skip
    if not isinstance(found, ProbeSites):
        return
    shown = way(WAYS, name="viewed")
    one_figure(
        request, drawing, key="sites", grace=patience.left(), view=shown,
        title="The highest places" if shown == "ranked" else f"Which {shown} carry it",
        help=RANKED if shown == "ranked" else MAP,
        python=as_code(question(model, given.python)), grid=shown != "ranked",
        on_pick=None if shown == "ranked" else lambda answer, cell: _pick(answer, cell, shown),
    )  # fmt: skip
    if shown == "heads":
        _head(found)


def fresh_too() -> None:
    """Ask the same of fresh weights."""
    state.field(
        st.toggle, "Fresh weights too", key="depth_fresh",
        value=state.workspace().choice("fresh") == "yes", then=depth_curve.take_fresh,
        help="The same on the architecture before training: what is found there comes from the "
        "texts, not from what the model learned.", width="content",
    )  # fmt: skip


def _pick(found: ProbeSites, cell: Sequence[int], shown: str) -> None:
    """A head is selected on every page; a site of a layer is looked into as a curve's point."""
    layer, column = (int(number) for number in cell)
    if shown == "heads":
        if column < found.n_heads:
            state.select(layer=layer, head=column)
        return
    work = state.workspace().with_choice("depth", str(min(layer + 1, found.n_layers)))
    state.set_workspace(work.with_choice("depths", "one"))


def _head(found: ProbeSites) -> None:
    """The selected head: what was read there, a clamp, a door to its page."""
    chosen = state.workspace().selection
    if chosen.head is None or chosen.head >= found.n_heads or chosen.layer >= found.n_layers:
        return
    place = Site(chosen.layer, "head", chosen.head, stack=found.stack)
    if str(place) not in found.cells:
        return
    cell = found.cells.index(str(place))
    sure = "beyond the best of chance" if found.beyond[cell] else "not beyond chance"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.html(small(f"{place}: AUC {found.auc[cell]:.3f}, {sure}"))
        st.button(
            "+ ablate this head", key=sides.key("sites_ablate"), on_click=state.attempt,
            args=(tray.add, Ablate(place, "mean")),
            help="Put the head into the tray, replaced by its mean over the text.",
        )  # fmt: skip
        if st.button("open in Heads", key=sides.key("sites_heads"), icon=entry("heads").icon):
            st.switch_page(entry("heads").path, query_params=state.query())
