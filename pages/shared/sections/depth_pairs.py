"""Minimal pairs: what the model prefers beside what a probe reads."""

from functools import partial
from typing import Any

import streamlit as st

from core.figures import minimal_pairs as drawing
from core.results.minimal_pairs import MinimalPairs
from core.spec.pairs import PAIR_SETS, PairSet, read_lines
from core.spec.request import ModelRef, Request, ask
from pages.shared import state
from pages.shared.notices import sentence, shown_text, small
from pages.shared.popover import popover
from pages.shared.sections import depth_sites
from pages.shared.sections.begun import begun
from pages.shared.sections.one_figure import one_figure, way
from pages.shared.sections.view import Patience

OWN = "own"
TEACH = (
    "Two texts that differ in one thing, one of them right. Which does the model find more "
    "probable, what does it say when it is asked, and from which layer on can a probe tell them "
    "apart? Seconds on the embedded model."
)
HELP = (
    "All curves and lines are shares of pairs in which the right text is chosen, so half is a coin "
    "for each of them. Probe: groups of pairs it has not seen, with its 95 % interval; grey: good "
    "and bad exchanged within pairs. Model: log probability of what both texts end with, of the "
    "whole texts, and what it says when it is asked. A model may prefer what no probe reads at the "
    "end of a text, and a probe may read what the model does not say."
)
PAIRS = (
    "Every pair once: to the right the model prefers the right text, upwards the probe of the best "
    "layer does. Left above: read, but not preferred."
)
KINDS = "The same for every way in which pairs differ; grey is where a coin lies."
GONE = "The typed pairs were left in another tab; type them again under Own pairs."
WAYS = {"layers": "by layer", "kinds": "by kind", "pairs": "pair by pair"}
_HELD, _SHUT = "_own_pairs", "_pairs_shut"
LONGEST = 200_000  # characters


def question(model: ModelRef, chosen: str, own: PairSet | None) -> Request:
    work = state.workspace()
    asked: dict[str, Any] = {"seed": work.seed}
    if work.choice("fresh") == "yes":
        asked["untrained"] = True
    if own is not None:
        asked |= {"good": own.good, "bad": own.bad}
    else:
        asked["pairs"] = chosen
    return ask("minimal_pairs", model, **asked)


def controls() -> None:
    """Which pairs, and whether fresh weights are asked too."""
    lost = state.workspace().choice("drew") == OWN and _held() is None
    names = [*PAIR_SETS, *([OWN] if lost or _held() else [])]
    if lost:
        sentence(GONE, "info")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        state.chosen(
            st.selectbox, "Pairs", names, name="drew", width=560,
            format_func=_words,
        )  # fmt: skip
        shut = st.session_state.get(_SHUT, 0)
        popover("Own pairs", _form, key=f"own_pairs_{shut}", icon=":material/edit:")
        depth_sites.fresh_too()


def draw(model: ModelRef, patience: Patience) -> None:
    chosen = state.workspace().choice("drew")
    own = _held() if chosen == OWN else None
    if chosen == OWN and own is None:
        return
    request = question(model, chosen, own)
    found = begun(
        request, key="pairs", label="Score and probe the pairs", teach=TEACH,
        grace=patience.left(), height=320,
    )  # fmt: skip
    if not isinstance(found, MinimalPairs):
        return
    shown = way(WAYS, name="viewed")
    if shown == "pairs" and found.way < 0:
        shown = "layers"
    one_figure(
        request, drawing, key="pairs", grace=patience.left(), view=shown,
        title="Preferred, and readable from which layer on",
        help={"layers": HELP, "kinds": KINDS, "pairs": PAIRS}[shown],
    )  # fmt: skip
    if shown == "pairs":
        _unused(found)


def _held() -> PairSet | None:
    """The pairs that were typed in this tab."""
    found: PairSet | None = st.session_state.get(_HELD)
    return found


def _words(name: str) -> str:
    return f"{name}: {PAIR_SETS[name]}" if name in PAIR_SETS else "own pairs"


def _unused(found: MinimalPairs) -> None:
    """The pairs that are read and not preferred."""
    rows = [number for number, here in enumerate(found.unused) if here][:50]
    if not rows:
        st.html(small("No pair is read right at that layer and preferred wrongly.", quiet=True))
        return
    st.html(small(f"Read, but not preferred: {int(found.unused.sum()):,} pairs", strong=True))
    st.dataframe(
        {
            "right": [shown_text(found.good[row], 200) for row in rows],
            "preferred": [shown_text(found.bad[row], 200) for row in rows],
        },
        hide_index=True,
    )


def _form() -> None:
    with st.form("pairs_form", border=False):
        words = "One pair a line: the acceptable text, a bar, the other one. At least four."
        st.html(small(words, quiet=True))
        st.text_area(
            "Pairs", key="pairs_text", height=200, placeholder="A dog barks. | A cat barks."
        )
        st.form_submit_button("Use these pairs", on_click=state.attempt, args=(partial(_take),))


def _take() -> None:
    text = str(st.session_state["pairs_text"])[:LONGEST]
    st.session_state[_HELD] = read_lines(text)
    st.session_state[_SHUT] = st.session_state.get(_SHUT, 0) + 1
    state.choose("drew", OWN)
