"""The pattern of one head on the prompt: the strip of tokens, and every token's row."""

import streamlit as st

from core.figures import attention as drawing
from core.results.attention import AttentionResult
from pages.shared import sides, state
from pages.shared.sections.drawn import drawn
from pages.shared.tiles import whole_pattern
from pages.shared.tokens import attention_strip

LABELLED = 48  # tokens: up to here their names stand at the axes


def draw(found: AttentionResult, token: int, *, key: str, label: str) -> None:
    """Where `token` looks; a click selects a token on every page. `key` names the parts."""
    attention_strip(
        found.tokens,
        found.pattern,
        key=f"{key}_tokens",
        label=label,
        query=token,
        on_pick=_select,
        special=found.special,
    )
    with st.expander("The whole pattern", key=sides.key(f"{key}_all"), on_change="rerun") as box:
        if box.open:
            _whole(found, token, key, label)


def _whole(found: AttentionResult, token: int, key: str, label: str) -> None:
    if len(found.tokens) <= LABELLED:
        fig = drawn(drawing.figure, found)
        st.plotly_chart(fig, key=sides.key(f"{key}_map"), alt="attention, query by key")
        return
    step = whole_pattern(
        found.tokens, found.pattern, key=f"{key}_whole", label=label, query=token, on_pick=_select
    )
    if step > 1:
        st.caption(f"A cell is {step} tokens wide: the largest weight among them.")


def _select(token: int) -> None:
    state.select(token=int(token))
