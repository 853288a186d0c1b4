"""Heads: what every attention head looks at, and what each of them causes."""

import streamlit as st

from core.spec.site import Site
from pages.shared import state
from pages.shared.frame import page
from pages.shared.sections import (
    corpus,
    head_card,
    head_causes,
    head_compare,
    head_contexts,
    head_corpus,
    head_map,
    head_pairs,
    head_pattern,
    head_ranking,
    head_scores,
    head_table,
    head_tasks,
    head_tokens,
    head_types,
    prompt,
)
from pages.shared.sections.head_scores import Atlas
from pages.shared.sections.reading import opened
from pages.shared.sections.view import PATTERNS, PREDICTIONS, TEXT, Patience, View

PATIENCE = 0.9  # seconds one run waits for answers in all; what takes longer comes by itself
LOOKED = {
    "pattern": "Pattern",
    "causes": "What heads cause",
    "ranking": "Which matter",
    "tokens": "Reads and writes",
    "contexts": "Where most",
    "compare": "Compare",
    "texts": "Over texts",
    "pairs": "Works with",
    "types": "Types",
    "tasks": "Tasks",
}
CONTINUED = ("texts", "tasks")  # about the loss of the next token
NEEDS = {
    "pattern": PATTERNS,
    "causes": PREDICTIONS,
    "contexts": PATTERNS,
    "compare": PATTERNS,
    "texts": TEXT,
    "ranking": PREDICTIONS,
    "tasks": TEXT,
}


def draw(view: View, patience: Patience) -> None:
    """All heads on the left, the card of one on the right, more about it below."""
    head_scores.ask_ahead(view)
    left, right = st.columns([11, 10], gap="medium")
    with left:
        line = st.container(horizontal=True, vertical_alignment="bottom")
        with line:
            head_scores.choice()
        if state.workspace().choice("scored") == "corpus":
            corpus.draw()
        atlas = head_scores.gathered(view, patience.left())
        if not atlas.scores:
            return
        with line:
            shown = head_map.choice(view, atlas, name="heads", label="Colour", role=True)
        at = head_map.selected(atlas)
        head_map.draw(atlas, shown, at)
        if at is None:
            return
        head_table.plane(view, atlas, shown, at)
    with right:
        head_card.draw(view, atlas, at)
        head_table.table(atlas, shown)
    more(view, atlas, at, patience)


def more(view: View, atlas: Atlas, at: tuple[int, int], patience: Patience) -> None:
    """What is asked about the chosen head."""
    site = Site(at[0], "head", at[1], stack=view.stack)
    able = [name for name in LOOKED if not view.missing(NEEDS.get(name, ""))]
    if view.card and view.card.kind != "decoder":
        able = [name for name in able if name not in CONTINUED]
    looked = state.chosen(
        st.segmented_control, "More about it", able, name="looked",
        format_func=LOOKED.__getitem__, label_visibility="collapsed",
    )  # fmt: skip
    match looked:
        case "pattern":
            head_pattern.draw(view, atlas, at, patience.left())
        case "causes":
            head_causes.draw(view, atlas, site, patience.left())
        case "tokens":
            head_tokens.draw(view, site, head_card.causes(atlas, at), patience.left())
        case "contexts":
            head_contexts.draw(view, site, head_card.causes(atlas, at), patience.left())
        case "compare":
            head_compare.draw(view, atlas, at, patience.left())
        case "types":
            head_types.draw(view, at, patience.left())
        case "ranking":
            head_ranking.draw(view, patience.left())
        case "tasks":
            head_tasks.draw(view, at[0], patience.left())
        case "texts":
            head_corpus.draw(view, at, patience.left())
        case "pairs":
            head_pairs.draw(view, patience.left())


with page("heads") as work:
    patience = Patience(PATIENCE)
    prompt.draw()
    if view := opened(work, patience):
        draw(view, patience)
