"""How well probes read a labelled set at every layer; with two models both in one figure."""

from typing import Any

import streamlit as st

from core.figures import depth as drawing
from core.results.depth import Depth
from core.spec.request import ModelRef, Request, ask
from pages.shared import pickers, state
from pages.shared.panels import answer, panel
from pages.shared.sections import depth_models
from pages.shared.sections.drawn import drawn
from pages.shared.sections.labelled import Given
from pages.shared.sections.view import Patience, as_code

HELP = (
    "Probes are trained on the states that enter each block and asked about texts they have not "
    "seen; the band is their 95 % interval. Grey: the same with shuffled labels. Dotted: what the "
    "words alone, the token alone or the largest class reach, whichever is most. The upright line "
    "is where the curve leaves that floor for good. Where groups are held out, dashes show what "
    "random folds would have given: the gap is what comes of knowing a group again. A probe that "
    "reads something does not show that the model uses it: take the direction out and see. Click a "
    "layer to look into it."
)
PROBES = {
    "logistic": "logistic regression",
    "ridge": "ridge",
    "lda": "Fisher's discriminant",
    "means": "nearest class mean",
}
READS = {"last": "last token", "mean": "mean over the text", "-2": "last but one token"}
WORD = {"word": "its word"}
SPLITS = {"groups": "whole groups", "random": "texts at random"}


def controls(given: Given | None) -> None:
    """Which state counts, what reads it, what is held out, which score."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        for label, name, options, width in (
            ("State of a text", "read", reads(given), 190),
            ("Probe", "probe", PROBES, 200),
            ("Held out", "split", SPLITS, 170),
            ("Score", "metric", drawing.NAMES, 130),
        ):
            state.chosen(
                st.selectbox, label, list(options), name=name, width=width,
                format_func=options.__getitem__,
            )  # fmt: skip
        state.field(
            st.toggle, "Fresh weights too", key="depth_fresh",
            value=state.workspace().choice("fresh") == "yes", then=take_fresh,
            help="The same probes on the same architecture before training: what they read there "
            "comes from the texts, not from what the model learned.", width="content",
        )  # fmt: skip


def reads(given: Given | None) -> dict[str, str]:
    """The states of a text that can be read."""
    own = given is not None and given.one is not None and bool(given.one.words)
    return READS | (WORD if own else {})


def question(model: ModelRef, option: tuple[str, object]) -> Request:
    """The question that is chosen about these texts."""
    work = state.workspace()
    asked: dict[str, Any] = {option[0]: option[1], "seed": work.seed}
    for name, of in (("probe", "probe"), ("position", "read"), ("split", "split")):
        asked[name] = work.choice(of)
    if work.choice("fresh") == "yes":
        asked["untrained"] = True
    return ask("depth", model, too_long="cut", **asked)


def draw(given: Given, patience: Patience) -> Depth | None:
    """The curve of model A, or of both models; the answer of model A."""
    models = state.workspace().models[: len(pickers.SLOTS)]
    code = as_code(question(models[0], given.python))
    found = []
    for model, slot in zip(models, pickers.SLOTS, strict=False):
        one = answer(
            question(model, given.option), key=f"depth_{slot}", grace=patience.left(), height=380
        )
        if isinstance(one, Depth):
            found.append((model, one))
    if not found or found[0][0] != models[0]:
        return None
    if len(found) == 1:
        _one(found[0][1], code)
    else:
        depth_models.draw(found, code)
    return found[0][1]


def _one(found: Depth, code: str) -> None:
    score = state.workspace().choice("metric")
    panel(
        found,
        drawn(drawing.figure, found, score=score),
        key="depth_A",
        title="Readable from which layer on",
        help=HELP,
        caption=drawing.caption(found, score),
        shows=drawing.title(found, score),
        grid=False,
        on_pick=lambda cell: choose(int(cell[0])),
        python=code,
    )


def choose(layer: int) -> None:
    """Look into this layer; 0 is the embedding."""
    state.choose("depth", str(layer))


def take_fresh(value: bool) -> None:
    """Whether fresh weights are asked as well."""
    state.choose("fresh", "yes" if value else "")
