"""All heads of model A, a row a layer: click one to open its card."""

import math
from collections.abc import Sequence

import plotly.graph_objects as go
import streamlit as st

from core.figures import head_atlas as drawing
from core.figures import head_scores as weight_drawing
from core.figures import head_types as type_drawing
from core.figures.head_atlas import Score
from core.figures.wording import count, number
from core.results.base import Result
from core.results.head_effect import HeadEffect
from core.results.head_scores import KINDS as WEIGHT_KINDS
from core.results.head_scores import HeadScores
from core.results.heads import KINDS, Heads
from core.spec.request import Request
from pages.shared import state
from pages.shared.clicks import pickable_chart
from pages.shared.panels import look
from pages.shared.sections.drawn import drawn
from pages.shared.sections.framed import foot, framed
from pages.shared.sections.head_scores import EFFECTS, ROLE, STAGE, Atlas
from pages.shared.sections.view import PATTERNS, PREDICTIONS, View, as_code

HELP = (
    "A row a layer, a column a head. Role: the rule that a head exceeds by the largest factor; it "
    "says what the head looks at, not what it causes. Stage: the same for the four stages of a "
    "survey of head types, which takes some seconds. Every other score stands beside its control: "
    "of attention to certain tokens, as many random ones; of effects, the stream moved as far in a "
    "random direction. Click a cell, or use the arrow keys and Enter."
)


def choice(view: View, atlas: Atlas, *, name: str, label: str, role: bool) -> str:
    """A choice among the scores that there are or can be; `role`: the roles too."""
    names: dict[str, str] = {}
    if not view.missing(PATTERNS):
        kinds = atlas.heads.kinds if atlas.heads else KINDS
        names = ({ROLE: "best role", STAGE: "stage of the best type"} if role else {}) | {
            kind: kind.replace("_", " ") for kind in kinds
        }
    if not view.missing(PREDICTIONS):
        names |= {key: words for key, (_, _, words, _) in EFFECTS.items()}
    names |= WEIGHT_KINDS
    return state.chosen(
        st.selectbox, label, list(names), name=name, format_func=names.__getitem__, width=230
    )


def selected(atlas: Atlas) -> tuple[int, int] | None:
    """(layer, head) of the card: what is selected, else the strongest by the score shown.

    Roles have no order, so beside them it is the head of the largest effect.
    """
    if not atlas.scores:
        return None
    layers, heads = next(iter(atlas.scores.values())).values.shape
    chosen = state.workspace().selection
    if chosen.head is not None:
        return min(chosen.layer, layers - 1), min(chosen.head, heads - 1)
    shown = state.workspace().choice("heads")
    if shown in atlas.scores:
        return atlas.scores[shown].strongest()
    if shown in (ROLE, STAGE) or not atlas.waiting:
        return next(iter(atlas.scores.values())).strongest()
    return None


def draw(atlas: Atlas, shown: str, picked: tuple[int, int] | None) -> None:
    """The map of what is chosen, once it is known."""
    if shown not in atlas.scores and atlas.waiting and "effect" in atlas.scores and not atlas.heads:
        shown = "effect"  # known long before the roles
    if shown == ROLE and atlas.heads:
        found: Result = atlas.heads
        fig, words = drawn(drawing.roles, atlas.heads), drawing.roles_title(atlas.heads)
        caption = "; ".join([sample(atlas.heads), *atlas.heads.notes])
    elif shown == STAGE and atlas.types:
        found = atlas.types
        fig, words = drawn(type_drawing.figure, found, view="stages"), type_drawing.title(found)
        caption = "; ".join([type_drawing.caption(found), *found.notes])
    elif shown in atlas.scores:
        score, found = atlas.scores[shown], atlas.source(shown)
        fig, words, caption = (
            drawing.figure(score, look()),
            drawing.title(score),
            about(found, score),
        )
    else:
        return
    _framed(found, atlas.requests[found.name], fig, words, caption, picked)


def _framed(
    found: Result,
    request: Request,
    fig: go.Figure,
    shows: str,
    caption: str,
    picked: tuple[int, int] | None,
) -> None:
    with framed("All heads", HELP, key="head_map", shows=shows):
        pickable_chart(
            fig,
            key="head_map_chart",
            label="All heads",
            picked=picked,
            on_pick=choose,
        )
        foot(found, caption, key="head_map", python=as_code(request), asked_as=found.name)


def choose(cell: Sequence[int]) -> None:
    """Select the head of a cell [layer, head]; while two are compared, the one asked for."""
    layer, head = int(cell[0]), int(cell[1])
    work = state.workspace()
    if (work.choice("looked"), work.choice("picks")) == ("compare", "other"):
        state.choose("other", f"L{layer}.head[{head}]")
    else:
        state.select(layer=layer, head=head)


def about(found: Result, score: Score) -> str:
    """Control and sample of a score."""
    if isinstance(found, HeadEffect):
        return (
            f"control: the stream moved as far in a random direction inside another head (mean of "
            f"{found.n_controls}); {count(found.n_texts, 'text')}, token {found.position}"
        )
    if isinstance(found, HeadScores):
        return weight_drawing.caption(found)
    assert isinstance(found, Heads)
    kind = next(kind for kind, values in found.scores.items() if values is score.values)
    few = "" if found.enough(kind) else " — too few to be relied on"
    asked = count(found.n_queries[kind], "query", "queries")
    null = found.threshold(kind)
    chance = "" if math.isnan(null) else f"99 % of untrained heads stay below {number(null)}; "
    return f"{score.words}; {asked}{few}; {chance}{sample(found)}"


def sample(found: Heads) -> str:
    """What the heads were read on."""
    texts = count(found.n_texts, "text")
    source = texts if found.source == texts else f"{found.source}: {texts}"
    return f"{source}, {count(found.n_tokens, 'token')}"
