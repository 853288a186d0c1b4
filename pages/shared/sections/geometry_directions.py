"""Which contrasts are directions, which are independent, and what does pushing one do?"""

from typing import Any

import streamlit as st

from core.figures import concept_directions as drawing
from core.figures import concept_push as pushing
from core.results.concept_directions import ConceptDirections
from core.results.concept_push import ConceptPush
from core.spec.request import ModelRef, ask
from pages.shared import pickers, state
from pages.shared.panels import answer
from pages.shared.sections import geometry_steer, ways
from pages.shared.sections.concept_set import Chosen
from pages.shared.sections.one_figure import one_figure
from pages.shared.sections.view import Patience
from pages.shared.sections.ways import Way

FOUND = {
    "scores": Way(
        "is it a direction",
        "Every contrast, judged on pairs it was not built from, against random pairs of words: d' "
        "is how many standard deviations of the random pairs they lie apart. Grey: contrasts made "
        "of random pairs. Judge by this, not by raw cosines.",
    ),
    "cosines": Way(
        "heat maps",
        "|cosine| of every two contrasts: under the causal inner product (whitened by the "
        "unembedding's covariance), plain, and in a random metric. In many dimensions nearly "
        "everything is nearly orthogonal: what differs from random words is ringed. The last rows "
        "are random contrasts.",
    ),
    "projections": Way(
        "pairs left out",
        "Each pair of words on the direction built without it, in standard deviations of random "
        "pairs. Grey: where random pairs lie.",
    ),
    "densities": Way("as densities", "The same as two densities for each contrast."),
    "spectrum": Way(
        "spectrum",
        "Eigenvalues of the covariance that whitens. Where it falls steeply whitening amplifies "
        "directions that hardly vary, often those of rare tokens.",
    ),
}
PUSHED = {
    "effects": Way(
        "push all",
        "Push along the contrast of the row by one nat of its own pairs; the cell is the change "
        "of the log-odds of the column's contrast. On paper, in a real run of the model, and for "
        "random pushes of equal length. Off the diagonal: what spills over.",
    ),
    "tokens": Way(
        "first tokens",
        "The most probable next tokens when the contrast is pushed by so many nats. Compare with "
        "random pushes of equal length.",
    ),
    "arrows": Way(
        "arrows",
        "Each prompt's answer, moved along one contrast: to the right the log-odds of that "
        "contrast, upwards those of the other. Independent contrasts give arrows along one axis.",
    ),
    "contexts": Way(
        "reading contexts",
        "AUC with which each contrast tells contexts of one side from the other. The diagonal "
        "should be high, the rest near 0.5.",
    ),
    "vocabulary": Way(
        "all tokens",
        "Every token along two contrasts. A round cloud: they vary apart; a tilted one: they do "
        "not.",
    ),
}
SOURCES = {"linear": "on paper", "run": "in a run", "control": "random push"}


def draw(model: ModelRef, given: Chosen, patience: Patience) -> None:
    names = {key: one.name for key, one in (FOUND | PUSHED).items()}
    view = state.chosen(
        st.segmented_control, "Shown", list(names), name="viewed",
        format_func=names.__getitem__, label_visibility="collapsed",
    )  # fmt: skip
    if view in FOUND:
        _found(model, given, view, patience)
    else:
        _pushed(model, given, view, patience)


def _found(model: ModelRef, given: Chosen, view: str, patience: Patience) -> None:
    """Contrasts among the output tokens, or at a layer."""
    work = state.workspace()
    side = state.chosen(
        st.selectbox, "Vectors of", ["unembedding", "states"], name="side", width=250,
        format_func={"unembedding": "output tokens (unembedding)", "states": "states of words"}.get,
    )  # fmt: skip
    options: dict[str, Any] = {"concepts": given.option}
    if side == "states":
        row = work.choice("row")
        options = given.options()
        options["layer"] = int(row) if row.isdecimal() and len(row) < 6 else 0
    request = ask("concept_directions", model, seed=work.seed, **options)
    found = answer(request, key="contrasts", grace=patience.left(), height=480)
    if not isinstance(found, ConceptDirections):
        return
    if side == "states":
        ways.depth(options["layer"], _rows(model))
    one_figure(
        request, drawing, key="contrasts", title=given.one.name, help=FOUND[view].help, grace=0.0,
        height=480, view=view,
    )  # fmt: skip


def _rows(model: ModelRef) -> int:
    card = pickers.card(model)
    return card.sizes["n_layers"] if card else 1


def _pushed(model: ModelRef, given: Chosen, view: str, patience: Patience) -> None:
    work = state.workspace()
    groups = [group.name for group in given.one.groups]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        one = state.chosen(st.selectbox, "Contrast", groups, name="contrast", width=220)
        others = [name for name in groups if name != one] or groups
        other = state.chosen(st.selectbox, "Beside", others, name="contrast_b", width=220)
        source = "linear"
        if view == "tokens":
            source = state.chosen(
                st.selectbox, "Push", list(SOURCES), name="pushed", width=160,
                format_func=SOURCES.__getitem__,
            )  # fmt: skip
    request = ask(
        "concept_push", model, concepts=given.option, concept=one, against=other, seed=work.seed,
        prompts=(work.prompt,),
    )  # fmt: skip
    found = one_figure(
        request, pushing, key="pushes", title=f"Push {one}", help=PUSHED[view].help,
        grace=patience.left(), height=480, view=view, source=source,
    )  # fmt: skip
    if isinstance(found, ConceptPush):
        geometry_steer.into_tray(found)
