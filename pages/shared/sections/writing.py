"""Three texts side by side, and how strongly one clamp has to be set."""

from typing import Any

import streamlit as st

from core.figures import dose as dose_drawing
from core.figures import steer as drawing
from core.results.dose import DoseResult
from core.results.steer import SteerResult
from core.spec.interventions import Change
from core.spec.request import Request
from pages.shared import state, tray
from pages.shared.changes import named, strength
from pages.shared.notices import code, sentence
from pages.shared.panels import answer, panel
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
DOSE_HELP = (
    "The strength of one clamp from −4 to +4 times the largest activation observed (or further), "
    "all other clamps kept. Purple: probability of the tokens the unit writes. Grey: 8 random "
    "units of equal norm. The usable band is where the watched tokens rise above every control "
    "while the text is not destroyed (KL per token below the limit)."
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
        left, right = st.columns([3, 2], gap="medium")
        with left:
            result = answer(request, key="steer", grace=grace, partial=so_far, height=180)
            _texts(result, request)
        with right, st.container(border=True, key="teach"):
            st.markdown(TEACH)
        return
    result = answer(request, key="steer", grace=grace, partial=so_far, height=180)
    _texts(result, request)
    left, right = st.columns(2, gap="medium")
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
    return [index for index, change in enumerate(changes) if strength(change) is not None]


def dose_question(view: View) -> Request | None:
    """The sweep of the chosen clamp; None when there is none, or its unit is not known yet."""
    if not doses(view.changes):
        return None
    item = _item(view)
    unit = _unit(view.changes[item])
    return view.ask("dose", item=item, unit=unit, seed=view.seed) if unit else None


def _item(view: View) -> int:
    """Number of the clamp whose strength is varied: the chosen one, else the last that can be."""
    able = doses(view.changes)
    chosen = state.workspace().choice("swept")
    return int(chosen) if chosen in map(str, able) else able[-1]


def _take_item(item: int) -> None:
    state.set_workspace(state.workspace().with_choice("swept", str(item)))


def _unit(change: Change) -> float:
    items = [item for item in state.workspace().tray if item.on and item.change == change]
    return tray.dose_unit(items[0]) if items else 0.0


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
    request = dose_question(view)
    if request is None:
        st.caption("working: measuring the largest activation of this site")
        return
    result = answer(request, key="dose", grace=grace, height=420)
    if isinstance(result, DoseResult):
        panel(
            result,
            drawn(dose_drawing.figure, result),
            key="dose",
            title="Dose and response",
            help=DOSE_HELP,
            caption=dose_drawing.caption(result),
            python=as_code(request),
        )
