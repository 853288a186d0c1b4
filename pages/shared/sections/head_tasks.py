"""Heads tried on tasks: fetching a needle, following wrong examples, seeing only a part ..."""

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import streamlit as st

from core.figures import (
    head_consistency,
    head_false_induction,
    head_overlap,
    massive_values,
    retrieval,
    sharding,
)
from core.results.base import Result
from core.spec.request import Request, ask
from core.spec.task_packs import TASK_PACKS
from pages.shared import state
from pages.shared.notices import sentence
from pages.shared.panels import panel
from pages.shared.sections import head_map
from pages.shared.sections.begun import begun
from pages.shared.sections.drawn import drawn
from pages.shared.sections.view import View, as_code


@dataclass(frozen=True)
class Task:
    """One thing heads are tried on: in words, how it is drawn, in which ways."""

    label: str
    help: str
    drawing: ModuleType
    views: dict[str, str]
    grids: tuple[str, ...] = ()  # views in which a cell is a head


TASKS = {
    "retrieval": Task(
        "Needle in a text",
        "A sentence is hidden in a text and asked for. Score: how often a head looks at the very "
        "token that is to be said next. The check silences the best heads while the answer is "
        "foretold, beside as many others.",
        retrieval,
        {
            "heads": "heads", "soft": "mean attention", "success": "where it is found",
            "masked": "without the best heads",
        },
        ("heads", "soft"),
    ),
    "head_false_induction": Task(
        "Wrong examples",
        "Examples in the prompt have wrong labels by a rule. Score: how much more the last token "
        "looks at labels the rule would give than at others; control, the same labels in no order. "
        "Then the best heads are silenced at the last token: how much of the lost accuracy comes "
        "back, beside as many others.",
        head_false_induction,
        {"heads": "heads", "ablation": "without the best heads"},
        ("heads",),
    ),
    "sharding": Task(
        "Seeing a part",
        "Every head in turn sees only its shard of the text, the others all of it: how much the "
        "loss rises says how far back the head needs to look. Control: random blocks.",
        sharding,
        {"heads": "heads", "sweep": "how much is seen", "hidden": "against what is hidden"},
        ("heads",),
    ),
    "massive_values": Task(
        "Largest channels",
        "Which channels of queries and keys are far larger than the rest, and which tasks fail "
        "when the largest one is set to its mean; the control is the smallest.",
        massive_values,
        {"channels": "channels", "layers": "by layer", "tasks": "tasks"},
    ),
    "head_overlap": Task(
        "Shared by tasks",
        "Every head is ablated on cases of each task, one at a time; a task's set are the heads it "
        "loses most without. Which heads do two tasks share beyond chance, and what breaks, on "
        "other cases, when those are silent together? Control: as many random other heads.",
        head_overlap,
        {"effects": "head by head", "overlap": "what they share", "silent": "what breaks"},
    ),
    "head_consistency": Task(
        "One concept",
        "Does a head serve one concept? Its five strongest channels against lists of words, by its "
        "weights: how many belong to one and the same list. Control: random circuits, which often "
        "score too. Then tasks are tried without the most consistent heads, and without others.",
        head_consistency,
        {"heads": "heads", "pruned": "tasks without them"},
        ("heads",),
    ),
}  # fmt: skip


EXAMPLES = {"categories": "things and their kind", "random": "random words"}
FIRST = ("repeated_tokens", "successions")  # tasks whose heads are compared at first


def question(view: View, name: str) -> Request:
    options: dict[str, Any] = {"tasks": tuple(tried())} if name == "head_overlap" else {}
    if name == "head_false_induction":
        options = {"source": state.workspace().choice("examples")}
    return ask(name, view.model, seed=view.seed, **options)


def tried() -> list[str]:
    """The tasks whose heads are compared, those of the link that there are."""
    names = state.workspace().choice("tried").split(",")
    return [name for name in TASK_PACKS if name in names] or list(FIRST)


def _choose_tasks() -> bool:
    """The choice of two tasks or more; False, with a sentence, while there are fewer."""
    state.field(
        st.multiselect, "Tasks", list(TASK_PACKS), key="tried", value=tried(),
        then=lambda names: state.choose("tried", ",".join(names)),
        format_func=lambda name: f"{name.replace('_', ' ')}: {TASK_PACKS[name]}",
    )  # fmt: skip
    if len(tried()) < 2:
        sentence("Choose two tasks or more: what they share needs a pair.", "info")
    return len(tried()) >= 2


def draw(view: View, layer: int, grace: float) -> None:
    """Choose a task, begin it, see it."""
    name = state.chosen(
        st.segmented_control, "Task", list(TASKS), name="task",
        format_func=lambda key: TASKS[key].label, label_visibility="collapsed",
    )  # fmt: skip
    if name == "head_overlap" and not _choose_tasks():
        return
    if name == "head_false_induction":
        state.chosen(
            st.segmented_control, "Examples", list(EXAMPLES), name="examples",
            format_func=EXAMPLES.__getitem__,
        )  # fmt: skip
    task, request = TASKS[name], question(view, name)
    found = begun(request, key=name, label="Begin", teach=task.help, grace=grace)
    if found is not None:
        _draw(task, name, found, request, layer)


def _draw(task: Task, name: str, found: Result, request: Request, layer: int) -> None:
    shown = state.chosen(
        st.segmented_control, "Shown as", list(task.views), name="shown",
        format_func=task.views.__getitem__, label_visibility="collapsed",
    )  # fmt: skip
    options = {"layer": layer} if shown == "channels" else {}
    panel(
        found,
        drawn(task.drawing.figure, found, view=shown, **options),
        key=name,
        title=task.label,
        help=task.help,
        caption=task.drawing.caption(found),
        on_pick=head_map.choose if shown in task.grids else None,
        python=as_code(request),
    )
