"""Where one head looks on the prompt, with what it causes beside it."""

import numpy as np
import streamlit as st

from core.figures import attention as pattern_drawing
from core.figures import head_sources as drawing
from core.figures.wording import number, visible
from core.results.attention import AttentionResult
from core.results.head_sources import HeadSources
from core.spec.request import Request
from core.spec.site import Site
from pages.shared import state
from pages.shared.panels import answer, panel
from pages.shared.sections import head_tiles
from pages.shared.sections.drawn import drawn
from pages.shared.sections.framed import foot, framed
from pages.shared.sections.head_card import effect_words
from pages.shared.sections.head_scores import Atlas
from pages.shared.sections.view import PREDICTIONS, View, as_code
from pages.shared.tiles import whole_pattern
from pages.shared.tokens import attention_strip

HELP = (
    "Where the head looks from the selected token; hover a token to see where that one looks, "
    "click it to select it. Weights of one token sum to 1. A weight is not an effect: a head can "
    "look somewhere and change nothing, so the measured effect stands beside it."
)

SOURCES_HELP = (
    "What the head adds to the answer's logit, split over the tokens it looks at: attention weight "
    "times what it fetches there. A token can be looked at and give nothing. The control is the "
    "same for random tokens in place of the answer."
)

LABELLED = 48  # tokens: up to here their names stand at the axes


def question(view: View, at: tuple[int, int]) -> Request:
    return view.ask("attention", layer=at[0], head=at[1])


def draw(view: View, atlas: Atlas, at: tuple[int, int], grace: float) -> None:
    """The strip of tokens, and below it the whole pattern."""
    site = Site(at[0], "head", at[1], stack=view.stack)
    request = question(view, at)
    found = answer(request, key="pattern", grace=grace, height=200)
    if not isinstance(found, AttentionResult):
        return
    causes = effect_words(atlas, at) if atlas.effect else ""
    with framed(f"Attention of {site}", HELP, key="pattern", shows=causes):
        attention_strip(
            found.tokens,
            found.pattern,
            key="pattern_tokens",
            label=f"Attention of {site}",
            query=view.token,
            on_pick=lambda index: state.select(token=int(index)),
            special=found.special,
        )
        with st.expander("The whole pattern", key="pattern_all", on_change="rerun") as box:
            if box.open:
                _whole(found, view.token, f"Attention of {site}")
        foot(found, _words(found, view.token), key="pattern", python=as_code(request))
    if not view.missing(PREDICTIONS):
        _sources(view, at, grace)
    head_tiles.draw(view, atlas, at, grace)


def _whole(found: AttentionResult, token: int, label: str) -> None:
    if len(found.tokens) <= LABELLED:
        fig = drawn(pattern_drawing.figure, found)
        st.plotly_chart(fig, key="pattern_map", alt="attention, query by key")
        return
    step = whole_pattern(
        found.tokens,
        found.pattern,
        key="pattern_whole",
        label=label,
        query=token,
        on_pick=lambda index: state.select(token=int(index)),
    )
    if step > 1:
        st.caption(f"A cell is {step} tokens wide: the largest weight among them.")


def sources_question(view: View, at: tuple[int, int]) -> Request:
    return view.ask("head_sources", layer=at[0], head=at[1], seed=view.seed, **view.position)


def _sources(view: View, at: tuple[int, int], grace: float) -> None:
    """How much of the answer comes from each token the head looks at."""
    request = sources_question(view, at)
    found = answer(request, key="sources", grace=grace, height=260)
    if isinstance(found, HeadSources):
        panel(
            found,
            drawn(drawing.figure, found),
            key="sources",
            title="What it takes from each token",
            help=SOURCES_HELP,
            caption=drawing.caption(found),
            python=as_code(request),
        )


def _words(found: AttentionResult, token: int) -> str:
    """Where the selected token looks most, beside what even attention would give."""
    row = found.pattern[token]
    key = int(np.argmax(row))
    return (
        f"token {token} looks most at token {key} “{visible(found.tokens[key], 16)}” "
        f"({number(row[key] / 255)}; uniform attention would give "
        f"{number(found.uniform[token])}); entropy {number(found.entropy[token])} nats; 1 text"
    )
