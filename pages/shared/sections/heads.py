"""One head: where it looks, and beside that what it causes."""

from typing import Any

import streamlit as st

from core.figures import attention as pattern_drawing
from core.figures import head_effect as drawing
from core.figures.wording import number
from core.results.attention import AttentionResult
from core.results.head_effect import HeadEffect
from core.spec.interventions import Ablate
from core.spec.request import Request
from core.spec.site import Site
from pages.shared import sides, state, tray
from pages.shared.notices import sentence
from pages.shared.panels import answer, panel
from pages.shared.sections import pattern
from pages.shared.sections.drawn import drawn
from pages.shared.sections.framed import foot, framed
from pages.shared.sections.view import PATTERNS, PREDICTIONS, View, as_code

HELP = (
    "Where the selected head looks from the selected token; hover a token to see where that one "
    "looks. Weights of one token sum to 1. A weight is not an effect: a head can look somewhere "
    "and change nothing, so the measured effect stands beside it."
)
EFFECT_HELP = (
    "Each head is ablated to its mean over this text, all others kept; the cell is by how much "
    "the log-probability of the model's answer at the selected token falls, in nats. Right: the "
    "same when the stream is moved as far in a random direction inside another head of the "
    "layer. Effects smaller than the control's say nothing. Click a cell to see where that head "
    "looks."
)


def selected(view: View) -> tuple[int, int]:
    """The selected head, moved into what the model has."""
    chosen = state.workspace().selection
    sizes = view.card.sizes if view.card else {}
    layers = sizes.get("n_encoder_layers" if view.stack else "n_layers", chosen.layer + 1)
    head = chosen.head or 0
    return min(chosen.layer, layers - 1), min(head, sizes.get("n_heads", head + 1) - 1)


def pattern_question(view: View) -> Request:
    layer, head = selected(view)
    return view.ask("attention", layer=layer, head=head)


def effect_question(view: View) -> Request:
    return view.ask("head_effect", to="mean", **view.position)


def draw(view: View, grace: float) -> None:
    """Left the pattern of the selected head, right the effect of every head."""
    left, right = sides.columns(2, gap="medium")
    with left:
        _pattern(view, grace)
    with right:
        _effect(view, grace)


def _pattern(view: View, grace: float) -> None:
    layer, head = selected(view)
    with framed(f"Attention of {_site(view, layer, head)}", HELP, key="attention"):
        _inputs(view)
        if why := view.missing(PATTERNS):
            sentence(why, "info")
            return
        request = pattern_question(view)
        result = answer(request, key="attention", grace=grace, height=200)
        if not isinstance(result, AttentionResult):
            return
        label = f"Attention of head {head} in layer {layer}"
        pattern.draw(result, view.token, key="attention", label=label)
        words = pattern_drawing.looks(result, view.token)
        foot(result, words, key="attention", python=as_code(request))


def _site(view: View, layer: int, head: int) -> Site:
    return Site(layer, "head", head, stack=view.stack)


def _inputs(view: View) -> None:
    if not sides.first():
        return
    sizes = view.card.sizes if view.card else {}
    layers = "n_encoder_layers" if view.stack else "n_layers"
    with st.container(horizontal=True, vertical_alignment="bottom"):
        for name, size in (("layer", layers), ("head", "n_heads")):
            shown: dict[str, Any] = {
                "label": f"{name.capitalize()} of the head", "key": f"head_{name}", "min_value": 0,
                "max_value": sizes[size] - 1 if size in sizes else None, "step": 1, "width": 130,
            }  # fmt: skip
            if name == "head" and state.workspace().selection.head is None:
                state.field(st.number_input, value=0, then=_choose_head, **shown)
            else:
                state.bound(st.number_input, name=f"selection.{name}", **shown)
        layer, head = selected(view)
        st.button(
            "+ ablate this head",
            key="ablate_head",
            help="Put the head into the tray, replaced by its mean over the text.",
            on_click=state.attempt,
            args=(tray.add, Ablate(_site(view, layer, head), "mean")),
        )


def _choose_head(head: int | None) -> None:
    if head is not None:
        state.select(head=head)


def _effect(view: View, grace: float) -> None:
    if why := view.missing(PREDICTIONS):
        sentence(why, "info")
        return
    request = effect_question(view)
    result = answer(request, key="head_effect", grace=grace, height=320)
    if not isinstance(result, HeadEffect):
        return
    layer, head = selected(view)
    panel(
        result,
        drawn(drawing.figure, result),
        key="head_effect",
        title="What each head causes",
        help=EFFECT_HELP,
        caption=_effect_words(result, layer, head) + drawing.caption(result),
        picked=(layer, head),
        on_pick=lambda cell: state.select(layer=int(cell[0]), head=int(cell[1])),
        python=as_code(request),
    )


def _effect_words(result: HeadEffect, layer: int, head: int) -> str:
    return (
        f"L{layer}.head[{head}]: {number(result.effect[layer, head], sign=True)} nats "
        f"(control {number(result.control[layer, head], sign=True)}); "
    )
