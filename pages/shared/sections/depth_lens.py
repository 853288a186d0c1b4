"""The logit lens over the prompts of a task: from which layer on the answer is there."""

from dataclasses import dataclass
from typing import Any

import streamlit as st

from core.figures import lens_depth as drawing
from core.spec.lens_tasks import LENS_TASKS
from core.spec.request import ModelRef, Request, ask
from pages.shared import state
from pages.shared.sections.one_figure import one_figure, way
from pages.shared.sections.view import Patience


@dataclass(frozen=True)
class Way:
    """One picture of the answer."""

    label: str
    title: str
    help: str
    figure: Any


WAYS = {
    "settled": Way(
        "when it is settled",
        "From which layer on the answer is there",
        "The state behind the last token of every prompt, read by final norm and unembedding as "
        "if the model stopped there. Blue: the share of prompts whose first choice is already the "
        "final one. “right of …”: the task's answer is the most probable of all its answers. Grey: "
        "random states of equal norm, and the answers of other prompts. A layer that the lens "
        "cannot read may know the answer all the same.",
        drawing.figure,
    ),
    "words": Way(
        "which words",
        "Which words the layers would say",
        "Probability of lists of words together, and of the answer; grey: random states and the "
        "answers of other prompts. With “French word” and “translation” the lists are the word in "
        "three languages: "
        "does it pass through English on its way?",
        drawing.shares,
    ),
    "ranks": Way(
        "ranks",
        "The rank of what will be said",
        "Median rank of the final choice and of the right answer among all tokens; the band holds "
        "half of the prompts. Up is better.",
        drawing.ranks,
    ),
    "entropy": Way(
        "entropy",
        "How undecided each layer is",
        "Entropy of what each layer would say, and how far that is from the final distribution, "
        "in nats. Early layers are often sure of something wrong: they echo the prompt.",
        drawing.entropies,
    ),
    "exits": Way(
        "stopping early",
        "What stopping early saves, and what it costs",
        "Every prompt stops behind the first block whose first choice is this sure (the number at "
        "the point). To the right: blocks saved; upwards: the final choice kept. Dotted: all "
        "prompts stop at one and the same layer; only what lies above that line is won by being "
        "sure.",
        drawing.exits,
    ),
}


def question(model: ModelRef, task: str) -> Request:
    return ask("lens_depth", model, task=task, seed=state.workspace().seed)


def controls() -> None:
    """Which prompts."""
    state.chosen(
        st.selectbox, "Prompts", list(LENS_TASKS), name="lensed", width=460,
        format_func=lambda name: f"{name}: {LENS_TASKS[name]}",
    )  # fmt: skip


def draw(model: ModelRef, patience: Patience) -> None:
    task = state.workspace().choice("lensed")
    shown = WAYS[way({name: one.label for name, one in WAYS.items()}, name="viewed")]
    one_figure(
        question(model, task), drawing, figure=shown.figure, key="lens_depth", title=shown.title,
        help=shown.help, grace=patience.left(), height=380,
    )  # fmt: skip
