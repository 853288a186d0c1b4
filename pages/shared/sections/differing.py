"""Where two models of one shape differ on the question of the page, cell by cell."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import streamlit as st

from core.difference import difference
from core.figures import difference as drawing
from core.results.base import Result
from core.results.difference import Difference
from core.spec.errors import Error
from core.spec.request import Request
from pages.shared import pickers, sides, state
from pages.shared.clicks import pickable_chart
from pages.shared.notices import sentence
from pages.shared.panels import asked
from pages.shared.sections.drawn import drawn
from pages.shared.sections.framed import foot, framed
from pages.shared.sections.view import Patience, View, as_code
from pages.shared.sides import Side

HELP = (
    "The same question to both models, the second answer minus the first. Right, on the same "
    "scale: what the controls of the two answers differ by, which is noise. A cell is beyond the "
    "noise when it changed more than 95 of 100 cells of the controls did. Click a cell to select "
    "it in all models."
)
KEPT = 32


@dataclass(frozen=True, slots=True)
class Asked:
    """A question of the page whose cells correspond in two models of one shape.

    title     of the panel; key: the panel's of its answers; needs: what a model may lack
    question  what the page asks about a view; None while something is missing for it
    """

    title: str
    key: str
    question: Callable[[View], Request | None]
    needs: tuple[str, ...] = ()


def draw(all_asked: Sequence[Asked], first: View, *others: tuple[Side, View, Patience]) -> None:
    """The differences of every other model from A, below the columns."""
    if not all_asked:
        return
    st.subheader("Where they differ", anchor=False)
    with st.container(horizontal=True):
        name = state.chosen(
            st.segmented_control, "Of", [one.title for one in all_asked], name="differing",
            label_visibility="collapsed",
        )  # fmt: skip
    question = next(one for one in all_asked if one.title == name)
    for side, view, _ in others:
        _one(question, first, side, view)


def _one(question: Asked, first: View, side: Side, view: View) -> None:
    missing = [v.missing(need) for v in (first, view) for need in question.needs]
    if why := next(filter(None, missing), ""):
        sentence(why, "info")
        return
    answers = []
    for number, one in ((0, first), (side.number, view)):
        with sides.drawn_for(side if number else Side(0, side.of, side.models)):
            request = question.question(one)
            if request is None:
                return
            job = asked().ask(question.key, request)
            if job.state == "done":
                answers.append(job.result)
    if len(answers) < 2:
        return  # its panel above says how far it is
    try:
        found = _subtracted(_Pair(*answers))
    except Error as fault:
        sentence(str(fault), "info")
        return
    _panel(found, question, first, side, view)


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two answers, told apart by identity: they are shared objects that never change."""

    one: Result
    other: Result

    def __hash__(self) -> int:
        return hash((id(self.one), id(self.other)))

    def __eq__(self, there: object) -> bool:
        return isinstance(there, _Pair) and self.one is there.one and self.other is there.other


@lru_cache(maxsize=KEPT)
def _subtracted(answers: _Pair) -> Difference:
    return difference(answers.one, answers.other)


def _panel(found: Difference, question: Asked, first: View, side: Side, view: View) -> None:
    key = f"differ_{question.key}_{side.letter}"
    measures = list(found.change)
    model = side.models[side.number]
    title = f"{question.title}: {side.letter} {pickers.short(model)} minus A"
    chosen = state.workspace().choice("measured")
    measure = chosen if chosen in measures else measures[0]
    with framed(title, HELP, key=key, shows=drawing.title(found, measure)):
        if len(measures) > 1:
            state.field(
                st.selectbox, "Measure", measures, key=f"{key}_measure", value=measure,
                then=partial(state.choose, "measured"), width=260,
                format_func=lambda name: name.replace("_", " "),
            )  # fmt: skip
        pickable_chart(
            drawn(drawing.figure, found, measure=measure), key=f"{key}_chart", label=title,
            on_pick=partial(_pick, found, measure), grid=bool(found.axis),
        )  # fmt: skip
        foot(found, drawing.caption(found), key=key, python=_python(question, first, side, view))


def _pick(found: Difference, measure: str, cell: Sequence[int]) -> None:
    """Select what was clicked, in all models."""
    layer, column = int(cell[0]), int(cell[1])
    if found.axis in ("token", "head", "neuron"):
        _, _, places = drawing.shown(found, measure)
        state.select(**{"layer": layer, found.axis: int(places[layer, column])})


def _python(question: Asked, first: View, side: Side, view: View) -> str:
    """Both questions one after the other, each with its own model and clamps."""
    lines = []
    for name, one, of in (("first", first, Side(0, side.of, side.models)), ("second", view, side)):
        with sides.drawn_for(of):
            request = question.question(one)
        assert request is not None  # the panel is about its answer
        code = as_code(request).splitlines()[:-1]
        code[-1] = code[-1].replace("result = ", f"{name} = ", 1)
        lines += code if name == "first" else code[1:]  # one import serves both
    return "\n".join([*lines, "api.figure(api.difference(first, second))"])
