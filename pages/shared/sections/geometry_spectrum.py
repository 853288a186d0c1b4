"""How many dimensions are in use, layer by layer, and does the cloud point one way."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from core.figures import spectrum as drawing
from core.results.spectrum import Spectrum
from core.spec.request import ModelRef, ask
from pages.shared import state
from pages.shared.sections.one_figure import one_figure, way
from pages.shared.sections.view import Patience

HELP = (
    "The covariance of all states of a corpus at each layer, the first token of a text left out. "
    "Participation ratio: as many equal dimensions would spread as much. Intrinsic dimension: by "
    "the two nearest neighbours of a point; too low above ten. Slope: how fast eigenvalues fall, "
    "ranks 11 to 150. Mean cosine: of random pairs; above 0 the cloud lies to one side. Grey "
    "dashes: a Gaussian cloud of as many points; dots: the same model with fresh weights."
)
EIGENVALUES = (
    "Share of the variance by rank, both logarithmic; strong: the chosen layer. Grey dashes: a "
    "Gaussian cloud of as many points, which bends as well. Shaded: the ranks the slope is fitted "
    "on. A straight line is no proof of a power law."
)
WAYS = {"depth": "layer by layer", "eigenvalues": "eigenvalues"}
CLOUDS = {
    "states": "states of text",
    "embedding": "embedding rows",
    "unembedding": "unembedding rows",
}


def draw(model: ModelRef, patience: Patience) -> None:
    work = state.workspace()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        of = state.chosen(
            st.selectbox, "Cloud", list(CLOUDS), name="cloud", format_func=CLOUDS.__getitem__,
            width=200,
        )  # fmt: skip
        state.field(
            st.toggle, "Fresh weights too", key="spectrum_fresh",
            value=work.choice("fresh") == "yes", width="content",
            then=lambda on: state.choose("fresh", "yes" if on else ""),
        )  # fmt: skip
    fresh: dict[str, Any] = (
        {"untrained_too": True} if work.choice("fresh") == "yes" and of == "states" else {}
    )
    shown = way(WAYS, name="viewed") if of == "states" else "eigenvalues"
    shown = shown if shown in WAYS else "depth"
    one_figure(
        ask("spectrum", model, of=of, seed=work.seed, **fresh), drawing, key="spectrum",
        title="Dimensions in use", help=HELP if shown == "depth" else EIGENVALUES,
        grace=patience.left(), height=460, on_pick=_pick, view=shown, layer=work.selection.layer,
    )  # fmt: skip


def _pick(found: Any, cell: Sequence[int]) -> None:
    if isinstance(found, Spectrum) and 0 <= cell[0] < len(found.clouds):
        state.select(layer=int(cell[0]))
