"""Three texts side by side, and how strongly one clamp has to be set."""

from functools import partial
from typing import Any

import streamlit as st

from core.figures import steer as drawing
from core.results.steer import SteerResult
from core.spec.drafts import value_of
from core.spec.interventions import Change
from core.spec.request import Request
from core.spec.workspace import TrayItem
from pages.shared import sides, state, tray
from pages.shared.changes import named
from pages.shared.notices import code, sentence
from pages.shared.panels import answer, panel
from pages.shared.sections import dosing
from pages.shared.sections.drawn import drawn
from pages.shared.sections.framed import foot, framed
from pages.shared.sections.view import PREDICTIONS, TEXT, View, as_code
from pages.shared.texts import streaming_texts, three_texts

HELP = (
    "The same prompt continued three times: without the clamps, with them, and with a random "
    "control that moves the stream as far. Colour is the change in log-probability the clamps "
    "make to each token: of the clean text under the clamped model, of the clamped text against "
    "the clean model. If the control changes the text as much, the clamp is not special."
)
CHANGE_HELP = (
    "Token by token: the change in log-probability (nats) of each text, and KL(clean ‖ changed) "
    "at each position. Compare the clamped line with the control's: KL alone only says that "
    "something moved."
)
TEACH = """**Now change something.**

1. Select a token above; the list shows the neurons that are strongest there.
2. Click **+** on a neuron: it is clamped to the largest value it was seen to take.
3. The text is written again beside the clean one and beside a random control of equal size.

Move the slider in the tray, switch the clamp off and on, undo with **u**.
"""


def question(view: View) -> Request:
    work = state.workspace()
    return view.ask(
        "steer", new_tokens=work.new_tokens, temperature=float(work.temperature), seed=view.seed
    )


def draw(view: View, grace: float) -> None:
    """The texts; without clamps the clean one beside what to do next."""
    if why := view.missing(TEXT) or view.missing(PREDICTIONS):
        sentence(why, "info")
        return
    if view.changes:
        st.markdown("**Clamped:** " + " · ".join(code(named(change)) for change in view.changes))
    request = question(view)
    sites = tuple(str(change.site) for change in view.changes)

    def so_far(partial: Any) -> None:
        streaming_texts(partial, key="texts_so_far", sites=sites)

    if not view.changes:
        left, right = sides.columns([3, 2], gap="medium")
        with left:
            result = answer(request, key="steer", grace=grace, partial=so_far, height=180)
            _texts(result, request)
        if sides.first():
            with right, st.container(border=True, key="teach"):
                st.markdown(TEACH)
        return
    result = answer(request, key="steer", grace=grace, partial=so_far, height=180)
    _texts(result, request)
    left, right = sides.columns(2, gap="medium")
    with left:
        _changes(result, request)
    with right:
        _dose(view, grace)


def _texts(result: Any, request: Request) -> None:
    if isinstance(result, SteerResult):
        with framed("Continuations", HELP, key="texts"):
            three_texts(result, key="texts")
            foot(
                result,
                drawing.caption(result),
                key="texts",
                python=as_code(request),
                asked_as="steer",
            )


def _changes(result: Any, request: Request) -> None:
    if isinstance(result, SteerResult):
        panel(
            result,
            drawn(drawing.figure, result),
            key="steer",
            title="How far the texts moved",
            help=CHANGE_HELP,
            caption=drawing.caption(result),
            python=as_code(request),
        )


def doses(changes: tuple[Change, ...]) -> list[int]:
    """Numbers of the active changes whose strength can be varied."""
    return [index for index, change in enumerate(changes) if value_of(change) is not None]


def dose_question(view: View) -> Request | None:
    """The sweep of the chosen clamp; None when none has a strength."""
    if not doses(view.changes):
        return None
    item = _item(view)
    found = _line(view.changes[item])
    return dosing.question(view, view.changes, item, found[1].unit if found else 0.0)


def _item(view: View) -> int:
    """Number of the clamp whose strength is varied: the chosen one, else the last that can be."""
    able = doses(view.changes)
    chosen = state.workspace().choice("swept")
    return int(chosen) if chosen in map(str, able) else able[-1]


def _take_item(item: int) -> None:
    state.set_workspace(state.workspace().with_choice("swept", str(item)))


def _line(change: Change) -> tuple[int, TrayItem] | None:
    """The line of the tray that a change stands in, and its number."""
    lines = enumerate(state.workspace().tray)
    return next(((n, item) for n, item in lines if item.on and item.change == change), None)


def _dose(view: View, grace: float) -> None:
    able = doses(view.changes)
    if not able:
        st.caption("None of these clamps has a strength that could be varied.")
        return
    if len(able) > 1:
        state.field(
            st.selectbox, "Clamp whose strength is varied", able, key="dose_item",
            value=_item(view), then=_take_item,
            format_func=lambda item: str(view.changes[item].site),
        )  # fmt: skip
    request, change = dose_question(view), view.changes[_item(view)]
    found = _line(change)
    use = partial(tray.strengthen, found[0], change.site) if found else None
    if request:
        dosing.draw(request, change, key="dose", grace=grace, use=use)
