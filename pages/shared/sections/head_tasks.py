"""Heads tried on tasks: fetching a needle, seeing only a part, their largest channels."""

from dataclasses import dataclass
from types import ModuleType

import streamlit as st

from core.figures import massive_values, retrieval, sharding
from core.results.base import Result
from core.spec.request import Request, ask
from pages.shared import state
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
}  # fmt: skip


def question(view: View, name: str) -> Request:
    return ask(name, view.model, seed=view.seed)


def draw(view: View, layer: int, grace: float) -> None:
    """Choose a task, begin it, see it."""
    name = state.chosen(
        st.segmented_control, "Task", list(TASKS), name="task",
        format_func=lambda key: TASKS[key].label, label_visibility="collapsed",
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
