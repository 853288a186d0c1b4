"""A model over its training: when heads, concepts and circuits appear, and what is forgotten."""

from dataclasses import replace
from typing import Any

import streamlit as st

from core import home
from core.concepts import built_in
from core.figures import training as drawing
from core.results.training import Training
from core.spec import concept as concepts
from core.spec.request import ModelRef, Request, ask
from core.spec.task_packs import TASK_PACKS
from core.spec.workspace import CHOICES
from pages.shared import pickers, state
from pages.shared.notices import sentence, shown_text, small
from pages.shared.panels import asked, panel
from pages.shared.sections import compare_emerged, ways
from pages.shared.sections.begun import begun
from pages.shared.sections.drawn import drawn
from pages.shared.sections.view import Patience, as_code
from pages.shared.sections.ways import Way

KEY = "over_training"
TEACH = (
    "Every checkpoint is opened once, one at a time: losses, what heads look at, how well concepts "
    "separate, which heads a task needs, and which neurons stay what they are. Half a minute for "
    "embedded-small, longer for larger models; what was read of a checkpoint is kept."
)
NONE = (
    "{} has no checkpoints beside it. Choose a model that has, put the checkpoints of yours into a "
    "folder “checkpoints” beside its weights, or name folders, or revisions as “@step1000”."
)
CURVES = (
    "The strongest head of each kind at every checkpoint, by how much it attends to the kind's "
    "targets in random tokens said twice. Grey, in the same dash: the largest control of any head "
    "(as many random keys; the same places with the tokens in random order; fresh weights). "
    "Steps stand by their logarithm. Dotted upright: the checkpoint chosen above."
)
HEADS = (
    "Every head at the checkpoint of the slider, beside its control on the same scale: the larger "
    "of random keys and of tokens in random order. Effect: what the task's answer loses without "
    "the head, a dot for those of its circuit, on one scale for all checkpoints. Click a head to "
    "select it."
)
WAYS = {
    "concepts": Way(
        "concepts",
        "Held-out AUC of the difference of means, the best layer of each concept, 0.5 white. A "
        "dot: beyond what shuffled labels reach in 1 of 20 and beyond fresh weights, by 0.05. "
        "Choose a concept to see all its layers.",
    ),
    "overlap": Way(
        "shared circuits",
        "The heads a task loses most without are its circuit at a checkpoint: what share of the "
        "heads of two circuits is common (Jaccard). On the diagonal the circuits found on two "
        "halves of the cases, which is as much as can be asked for.",
    ),
    "neurons": Way(
        "neurons",
        "A neuron stays what it is when, of all neurons of its layer, its own number is the most "
        "alike by weights in the later checkpoint. Bands: from the least to the most of all "
        "layers. Grey: chance.",
    ),
    "loss": Way(
        "loss",
        "Loss on text, and on random tokens said twice: the second copy can only be foretold by "
        "looking back at the first.",
    ),
}  # fmt: skip


def draw(model: ModelRef, patience: Patience) -> None:
    """The training run of a model, or of the model whose checkpoint is chosen."""
    whole = replace(model, name=home.model_of(model.name) or model.name)
    names = home.checkpoint_names(whole.name)
    given = tuple(part.strip() for part in state.workspace().choice("stages").split(",") if part)
    if not names and not given:
        _offer(whole)
        return
    request = question(whole, given)
    found = begun(
        request, key=KEY, label=f"Read {len(given or names)} checkpoints", teach=TEACH,
        grace=patience.left(), height=420,
    )  # fmt: skip
    _settings(given)
    if isinstance(found, Training):
        _draw(found, request)


def question(whole: ModelRef, given: tuple[str, ...]) -> Request:
    """The question behind the page, to the whole model."""
    work = state.workspace()
    more: dict[str, Any] = {"checkpoints": given} if given else {}
    if wanted := _wanted():
        own = work.own
        more["concepts"] = tuple(
            concepts.plain(own) if own is not None and name == own.name else name for name in wanted
        )
    if work.choice("needed") != CHOICES["needed"]:
        more["task"] = work.choice("needed")
    return ask("training", whole, seed=work.seed, **more)


def _wanted() -> list[str]:
    """The concepts that were chosen, () for several of the program's."""
    offered = _concepts()
    return [name for name in state.workspace().choice("grown").split(",") if name in offered]


def _concepts() -> list[str]:
    own = state.workspace().own
    return [*([own.name] if own is not None and "," not in own.name else []), *built_in()]


def _offer(whole: ModelRef) -> None:
    sentence(NONE.format(pickers.short(whole)), "info")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        for model in pickers.shipped():
            n = len(home.checkpoint_names(model.name))
            if n:
                st.button(
                    f"{pickers.short(model)}, {n} checkpoints", key=f"train_{model}",
                    on_click=_take, args=(model,), type="primary",
                )  # fmt: skip
        _stages("")


def _take(model: ModelRef) -> None:
    state.change(models=(model, *state.workspace().models[1:]))


def _stages(value: str) -> None:
    """Checkpoints named by hand; a server opens no folders of its own."""
    if not home.hosted():
        state.field(
            st.text_input, "Checkpoints elsewhere", key="stages", value=value, width=320,
            then=lambda text: state.choose("stages", str(text or "").strip()),
            placeholder="@step1000, @step4000 or folders, by commas",
        )  # fmt: skip


def _settings(given: tuple[str, ...]) -> None:
    """What is followed through training, folded away."""
    with st.expander("What is followed"):
        state.field(
            st.multiselect, "Concepts", _concepts(), key="grown", value=_wanted(),
            then=lambda names: state.choose("grown", ",".join(names)), placeholder="several",
        )  # fmt: skip
        with st.container(horizontal=True, vertical_alignment="bottom"):
            state.chosen(
                st.selectbox, "Task of the circuit", list(TASK_PACKS), name="needed", width=300,
                format_func=TASK_PACKS.__getitem__,
            )  # fmt: skip
            _stages(", ".join(given))


def _draw(found: Training, request: Request) -> None:
    row = _moment(found)
    kinds = {kind: kind.replace("_", " ") for kind in found.kinds}
    kinds |= {drawing.EFFECT: "effect on the task"} if found.n_cases else {}
    if kinds:
        with st.container(horizontal=True, vertical_alignment="center"):
            kind = state.chosen(
                st.segmented_control, "Heads by", list(kinds), name="came",
                format_func=kinds.__getitem__, label_visibility="collapsed",
            )  # fmt: skip
            compare_emerged.button(found, row)
        left, right = st.columns(2, gap="medium")
        with left:
            _panel(
                found, request, "heads", "Every head at this checkpoint", HEADS, row=row,
                kind=kind, on_pick=lambda cell: state.select(layer=cell[0], head=cell[1]),
                picked=_picked(found),
            )  # fmt: skip
            compare_emerged.head_doors(found, row)
        with right:
            if found.kinds:
                _panel(found, request, "curves", "Heads over training", CURVES, row=row)
    left, right = st.columns(2, gap="medium")
    with left:
        view, help_ = ways.chosen(WAYS, name="grew")
        chosen: dict[str, Any] = {"row": row} if view in ("neurons", "loss") else {}
        if view == "concepts" and found.concepts:
            chosen |= _concept(found)
        _panel(found, request, view, WAYS[view].name.capitalize(), help_, **chosen)
    with right:
        compare_emerged.draw(found)


def _moment(found: Training) -> int:
    """The number of the checkpoint that is looked at."""
    names = list(found.checkpoints)
    value = state.workspace().choice("moment")
    value = value if value in names else names[-1]
    labels = {name: _label(found, row) for row, name in enumerate(names)}
    state.field(
        st.select_slider, "Checkpoint", names, key="moment", value=value,
        format_func=labels.__getitem__, then=lambda name: state.choose("moment", name),
    )  # fmt: skip
    return names.index(value)


def _label(found: Training, row: int) -> str:
    return shown_text(drawing.at(found, row), 40)


def _picked(found: Training) -> tuple[int, int] | None:
    chosen = state.workspace().selection
    _, layers, heads = found.effect.shape
    if chosen.head is None or chosen.head >= heads or chosen.layer >= layers:
        return None
    return chosen.layer, chosen.head


def _concept(found: Training) -> dict[str, str]:
    names = ["", *found.concepts]
    name = state.chosen(
        st.selectbox, "Concept", names, name="grows", width=260,
        format_func=lambda one: shown_text(one, 40) or "the best layer of each",
    )  # fmt: skip
    return {"concept": name} if name else {}


def _panel(
    found: Training, request: Request, view: str, title: str, help_: str, *, on_pick: Any = None,
    picked: tuple[int, int] | None = None, **chosen: Any,
) -> None:  # fmt: skip
    if view == "overlap" and not found.n_cases:
        st.html(small(found.reason("circuit"), quiet=True))
        return
    about = "overlap" if chosen.get("kind") == drawing.EFFECT else view
    panel(
        found, drawn(drawing.figure, found, view=view, **chosen), key=f"{KEY}_{view}", title=title,
        help=help_, caption=drawing.caption(found, about), python=as_code(request), picked=picked,
        on_pick=on_pick, grid=view in ("heads", "concepts", "overlap"), job=asked().job(KEY),
        shows=drawing.says(found, view=view, **chosen),
    )  # fmt: skip
