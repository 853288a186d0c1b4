"""Which two models are compared, and what can be compared between them."""

import streamlit as st

from core.spec.request import ModelRef
from core.spec.workspace import Workspace
from pages.shared import pickers, state
from pages.shared.notices import sentence, small

Pair = tuple[ModelRef, ModelRef]
TEACH = (
    "Choose model B in the sidebar, a folder, a hub id or a checkpoint, or one of these. What can "
    "be compared depends on the two: any two are compared by how they arrange the same texts; two "
    "of one architecture weight by weight as well."
)


def pair(work: Workspace) -> Pair | None:
    """Models A and B, or the one of three that is compared with A; None, and what to do."""
    if len(work.models) < 2:
        sentence(TEACH, "info")
        with st.container(horizontal=True):
            for model in (*pickers.shipped()[1:], ModelRef("embedded")):
                if model != work.models[0]:
                    st.button(
                        f"with {pickers.short(model)}", key=f"compare_with_{model}",
                        on_click=_take, args=(model,),
                    )  # fmt: skip
        return None
    others = [str(model) for model in work.models[1:]]
    other = others[0]
    if len(others) > 1:
        other = state.chosen(st.segmented_control, "A against", others, name="against_model")
    found = work.models[0], work.models[1 + others.index(other)]
    st.html(small(_about(found), quiet=True))
    if found[0] == found[1]:
        sentence("The same model twice: every difference below is that of noise.", "info")
    return found


def _take(model: ModelRef) -> None:
    state.change(models=(*state.workspace().models[:1], model))


def _about(of: Pair) -> str:
    """What the two have in common, in a sentence; "" while they load."""
    one, other = pickers.card(of[0]), pickers.card(of[1])
    if one is None or other is None:
        return "loading"
    same = one.family == other.family and dict(one.sizes) == dict(other.sizes)
    if same:
        how = "one architecture: cells, units and weights correspond by their number"
    elif one.kind != other.kind:
        how = f"{one.kind} against {other.kind}: states are compared, predictions are not"
    else:
        how = "unlike shapes: layers are compared by their states, units by how alike they fire"
    names = (pickers.short(model) for model in of)
    sizes = (pickers.size_line(card) for card in (one, other))
    both = " and ".join(f"{name} ({size})" for name, size in zip(names, sizes, strict=True))
    return f"{both}; {how}."


def alike(of: Pair) -> bool:
    """Are both of one architecture and size, as far as is known?"""
    one, other = pickers.card(of[0]), pickers.card(of[1])
    if one is None or other is None:
        return False
    return one.family == other.family and dict(one.sizes) == dict(other.sizes)
