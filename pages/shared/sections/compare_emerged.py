"""What came and went during training, each with doors to the pages that show it."""

from dataclasses import replace

import streamlit as st

from core.figures import training as drawing
from core.figures.wording import number
from core.results.training import NEVER, Emergence, Training
from core.spec.links import to_query
from core.spec.request import ModelRef
from core.spec.workspace import Workspace
from pages.shared import state
from pages.shared.notices import code, shown_text, small

MOST = 24


def draw(found: Training) -> None:
    """What emerged when, in the order of its coming."""
    with st.container(border=True, key="emerged"):
        st.html(small("What came when", strong=True))
        rows = found.emergences()
        if not rows:
            st.html(small("Nothing of what was asked is beyond its control.", quiet=True))
        for one in rows[:MOST]:
            _line(found, one)
        if len(rows) > MOST:
            words = f"{len(rows) - MOST} more; in a notebook result.emergences() lists them all."
            st.html(small(words, quiet=True))
        _further(found)


def _further(found: Training) -> None:
    """Doors to what else is asked of every checkpoint elsewhere, to the whole model."""
    last = model(found, found.n_rows - 1)
    if last is None:
        return
    work = replace(state.workspace(), models=(last,))
    born = work.with_choice("features", "concept").with_choice("drawn", "born")
    with st.container(horizontal=True, gap="small"):
        for page, words, there in (
            ("depth", "Probes in every checkpoint", work.with_choice("depths", "training")),
            ("features", "Neurons for a concept in every checkpoint", born),
        ):
            st.page_link(f"pages/{page}.py", label=words, query_params=to_query(there))


def button(found: Training, row: int) -> None:
    """The way to two checkpoints side by side: the chosen one and the last."""
    if model(found, row) is not None and row < found.n_rows - 1:
        st.button(
            f"Compare {shown_text(drawing.at(found, row), 40)} with the last",
            key="compare_moment", on_click=_beside, args=(found, row),
        )  # fmt: skip


def model(found: Training, row: int) -> ModelRef | None:
    """How a checkpoint is opened; None for fresh weights."""
    if not found.refs[row]:
        return None
    dtype = str(found.request["model"][2]) if found.request else ""
    return ModelRef(found.refs[row], found.revisions[row], dtype)


def _beside(found: Training, row: int) -> None:
    """The chosen checkpoint as model A, the last one as model B."""
    here, last = model(found, row), model(found, found.n_rows - 1)
    if here is not None and last is not None:
        work = state.workspace().with_choice("comparing", "summary")
        state.set_workspace(replace(work, models=(here, last)))


def _line(found: Training, one: Emergence) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small", wrap=False):
        st.markdown(_words(found, one), width="stretch")
        row = one.first if one.since == NEVER else one.since
        page, work = _door(found, one, row)
        if work is not None:
            st.page_link(
                f"pages/{page}.py", label="open", query_params=to_query(work), width="content"
            )


def _words(found: Training, one: Emergence) -> str:
    beside = f"{number(one.value)} (control {number(one.control)})"
    if one.what == "head":
        name, where = (
            f"{one.name.replace('_', ' ')}",
            code(drawing.site(found, one.layer, one.head)),
        )
        end = f"; {one.n} such heads in the end"
    else:
        name = code(one.name, 40)
        where = "at the embedding" if one.layer == 0 else f"best behind layer {one.layer - 1}"
        end = ""
    if one.since == one.lost == NEVER:
        return (
            f"**Wavers:** {name}, {where}, from {_at(found, one.first)}, then about as high as its "
            f"control; at most {beside}."
        )
    if one.since == NEVER:
        gone = drawing.at(found, one.lost)
        return (
            f"**Forgotten:** {name}, {where}, from {_at(found, one.first)}, gone at "
            f"{shown_text(gone, 40)}; at most {beside}."
        )
    again = f", first seen at {_at(found, one.first)}" if one.first < one.since else ""
    return f"**{_at(found, one.since)}:** {name}, {where}, in the end {beside}{again}{end}."


def _at(found: Training, row: int) -> str:
    return code(drawing.at(found, row), 40).replace("`", "")


def _door(found: Training, one: Emergence, row: int) -> tuple[str, Workspace | None]:
    """The page that shows it, that checkpoint as model A and the last one as B."""
    models = _models(found, row)
    if not models:
        return "", None
    work = replace(state.workspace(), models=models)
    if one.what == "head":
        chosen = replace(work.selection, layer=one.layer, head=one.head)
        return "heads", replace(work, selection=chosen).with_choice("heads", one.name)
    own = work.own is not None and work.own.name == one.name
    work = work.with_choice("concept", "" if own else one.name)
    return "directions", work.with_choice("at", str(one.layer - 1) if one.layer else "")


def _models(found: Training, row: int) -> tuple[ModelRef, ...]:
    here, last = model(found, row), model(found, found.n_rows - 1)
    if here is None or last is None:
        return ()
    return (here,) if row == found.n_rows - 1 else (here, last)


def head_doors(found: Training, row: int) -> None:
    """The selected head at this checkpoint, beside the same head of the last one."""
    chosen = state.workspace().selection
    _, layers, heads = found.effect.shape
    models = _models(found, row)
    if chosen.head is None or chosen.head >= heads or chosen.layer >= layers or not models:
        return
    name = code(drawing.site(found, chosen.layer, chosen.head))
    beside = "" if len(models) == 1 else ", beside the last"
    st.page_link(
        "pages/heads.py", label=f"{name} at {_at(found, row)}{beside}",
        query_params=to_query(replace(state.workspace(), models=models)),
    )  # fmt: skip
