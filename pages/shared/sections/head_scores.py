"""Everything known about all heads of a model: what each looks at, and what each causes."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import streamlit as st

from core.figures import head_scores as weight_drawing
from core.figures import heads as heads_drawing
from core.figures.head_atlas import Score
from core.results.base import Result
from core.results.head_effect import HeadEffect
from core.results.head_scores import KINDS as WEIGHT_KINDS
from core.results.head_scores import HeadScores
from core.results.head_types import HeadTypes
from core.results.heads import Heads
from core.spec.request import Request, ask
from pages.shared import state
from pages.shared.notices import sentence
from pages.shared.panels import answer, asked
from pages.shared.sections import corpus
from pages.shared.sections.view import PATTERNS, PREDICTIONS, View

ROLE, STAGE = "role", "stage"
SCORED = {"repeated": "repeated random tokens", "prompt": "the prompt", "corpus": "a text corpus"}
SCORED_HELP = (
    "Repeated random tokens hold no meaning: what a head does there it does by position and "
    "repetition alone. A corpus shows what it does on ordinary text."
)
N_TEXTS = 32  # windows of a corpus
# name in links: (field, its control, in words, unit)
EFFECTS = {
    "effect": ("effect", "control", "effect on the answer", "nats"),
    "total": ("total", "control_total", "effect on its logit", "logits"),
    "direct": ("direct", "control_direct", "direct effect", "logits"),
    "kl": ("kl", "control_kl", "KL when ablated", "nats"),
}
WEIGHTS = tuple(WEIGHT_KINDS)


@dataclass
class Atlas:
    """The answers that are there, and every score in them by its name in links."""

    heads: Heads | None = None
    effect: HeadEffect | None = None
    weights: HeadScores | None = None
    types: HeadTypes | None = None
    scores: dict[str, Score] = field(default_factory=dict)
    requests: dict[str, Request] = field(default_factory=dict)  # by the name of the analysis
    waiting: bool = False  # something more is being worked out

    def source(self, name: str) -> Result:
        """The answer that a score is from."""
        found = self.effect if name in EFFECTS else self.weights if name in WEIGHTS else self.heads
        assert found is not None
        return found

    @property
    def role(self) -> np.ndarray | None:
        return self.heads.role if self.heads else None


def question(view: View) -> Request | None:
    """What every head looks at; None when the pasted text is not in this tab."""
    options: dict[str, Any] = {}
    match state.workspace().choice("scored"):
        case "prompt":
            options["text"] = view.prompt
        case "corpus":
            text = corpus.chosen()
            if text is None:
                return None
            options = {"texts": text} if isinstance(text, tuple) else {"corpus": text}
            options["n_sequences"] = N_TEXTS
    return ask("heads", view.model, seed=view.seed, **options)


def effect_question(view: View) -> Request:
    return view.ask("head_effect", to="mean", **view.position)


def weights_question(view: View) -> Request:
    return ask("head_scores", view.model, seed=view.seed, stack=view.stack, **view.against)


def types_question(view: View) -> Request | None:
    """What every head may be called; None when the pasted text is not in this tab."""
    text = corpus.chosen()
    return None if text is None else ask("head_types", view.model, corpus=text, seed=view.seed)


def wanted() -> set[str]:
    """The scores that the map and the scatter show."""
    return {state.workspace().choice(name) for name in ("heads", "beside")}


def ask_ahead(view: View) -> None:
    """Ask all of it before the first is drawn, what is quick first."""
    if not view.missing(PREDICTIONS):
        asked().ask("head_effect", effect_question(view))
    request = question(view)
    if request and not view.missing(PATTERNS):
        asked().ask("heads", request, bulk=True)


def choice() -> None:
    """Which text the heads are scored on."""
    state.chosen(
        st.selectbox, "Scored on", list(SCORED), name="scored",
        format_func=SCORED.__getitem__, help=SCORED_HELP, width=230,
    )  # fmt: skip


def gathered(view: View, grace: float) -> Atlas:
    """What is known by now; frames stand for what is still being worked out."""
    atlas = Atlas()
    if why := view.missing(PREDICTIONS):
        sentence(f"{why} So what its heads cause for an answer cannot be measured.", "info")
    else:
        _add(atlas, effect_question(view), grace)
    if why := view.missing(PATTERNS):
        sentence(why, "info")
    elif request := question(view):
        _add(atlas, request, grace)
    else:
        sentence("The pasted text was left in another tab; paste it again under Own text.", "info")
    if wanted() & set(WEIGHTS):
        _add(atlas, weights_question(view), grace)
    if STAGE in wanted() and (types := types_question(view)):
        _add(atlas, types, grace)
    return atlas


def _add(atlas: Atlas, request: Request, grace: float) -> None:
    name = request.analysis
    found = answer(request, key=name, grace=grace, height=110, bulk=name != "head_effect")
    job = asked().job(name)
    atlas.waiting |= job is not None and not job.finished
    atlas.requests[name] = request
    if isinstance(found, HeadEffect):
        atlas.effect = found
        atlas.scores |= _of_effect(found)
    elif isinstance(found, HeadScores):
        atlas.weights = found
        atlas.scores |= {kind: weight_drawing.score(found, kind) for kind in WEIGHTS}
    elif isinstance(found, HeadTypes):
        atlas.types = found
    elif isinstance(found, Heads):
        atlas.heads = found
        atlas.scores |= _of_heads(found)


def _of_heads(found: Heads) -> dict[str, Score]:
    return {kind: heads_drawing.score(found, kind) for kind in found.kinds}


def _of_effect(found: HeadEffect) -> dict[str, Score]:
    return {
        name: Score(
            name=words,
            words=f"{words}, the head ablated to its {found.to}",
            unit=unit,
            values=getattr(found, one),
            control=getattr(found, control),
            signed=name != "kl",
            stack=found.stack,
        )
        for name, (one, control, words, unit) in EFFECTS.items()
    }
