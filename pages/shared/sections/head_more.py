"""More about the chosen head: what is asked is chosen by name."""

import streamlit as st

from core.spec.site import Site
from pages.shared import state
from pages.shared.sections import (
    head_card,
    head_causes,
    head_compare,
    head_contexts,
    head_corpus,
    head_pairs,
    head_pattern,
    head_ranking,
    head_tasks,
    head_tokens,
    head_types,
)
from pages.shared.sections.head_scores import Atlas
from pages.shared.sections.view import PATTERNS, PREDICTIONS, TEXT, Patience, View

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


def choice(view: View) -> str:
    """What is asked about the head, among what this model can be asked."""
    able = [name for name in LOOKED if not view.missing(NEEDS.get(name, ""))]
    if view.card and view.card.kind != "decoder":
        able = [name for name in able if name not in CONTINUED]
    return state.chosen(
        st.segmented_control, "More about it", able, name="looked",
        format_func=LOOKED.__getitem__, label_visibility="collapsed",
    )  # fmt: skip


def draw(looked: str, view: View, atlas: Atlas, at: tuple[int, int], patience: Patience) -> None:
    """The answer to what is asked about the head."""
    site = Site(at[0], "head", at[1], stack=view.stack)
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
