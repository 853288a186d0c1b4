"""What each head may be called: labels by rules, the stage of each, and one head's evidence."""

import streamlit as st

from core.figures import head_types as drawing
from core.results.head_types import HeadTypes
from pages.shared import state
from pages.shared.panels import answer, panel
from pages.shared.sections import head_corpus, head_map
from pages.shared.sections.begun import begun
from pages.shared.sections.drawn import drawn
from pages.shared.sections.head_scores import STAGE, types_question
from pages.shared.sections.view import View, as_code

HELP = (
    "Labels are rules over attention on text and on repeated tokens, over weights, over fetching a "
    "needle; a head may fit several, or none. The bar is its score over the rule's threshold, the "
    "diamond what 99 % of heads reach by chance. Stages are those of a survey of head types: "
    "recalling knowledge, identifying what is in the context, reasoning, preparing the answer; "
    "those without a rule yet stay empty by construction. What a label says holds on these texts."
)
TEACH = (
    "Names every head by rules: attention on repeated tokens and on a text, weights, fetching a "
    "needle, and how much text needs it. This takes some seconds, longer on a large model."
)
VIEWS = {"stages": "All heads", "depth": "Stages with depth", "card": "This head's evidence"}


def draw(view: View, at: tuple[int, int], grace: float) -> None:
    """All heads by stage, the share of the stages with depth, or one head against the rules."""
    if head_corpus.corpus_or_sentence() is None:
        return
    request = types_question(view)
    assert request is not None  # there is a text
    if state.workspace().choice("heads") == STAGE:  # the map has asked already
        found = answer(request, key="types", grace=grace, bulk=True)
    else:
        found = begun(request, key="types", label="Begin", teach=TEACH, grace=grace)
    if not isinstance(found, HeadTypes):
        return
    shown = state.chosen(
        st.segmented_control, "Shown as", list(VIEWS), name="typed",
        format_func=VIEWS.__getitem__, label_visibility="collapsed",
    )  # fmt: skip
    grid = shown == "stages"
    options = {"head": at} if shown == "card" else {}
    panel(
        found,
        drawn(drawing.figure, found, view=shown, **options),
        key="types",
        title="What heads may be called",
        help=HELP,
        caption="; ".join([drawing.caption(found), *found.notes]),
        picked=at if grid else None,
        on_pick=head_map.choose if grid else None,
        python=as_code(request),
    )
