"""Dose and response of one change, wherever its strength can be set."""

from collections.abc import Callable, Sequence

import streamlit as st

from core.figures import dose as drawing
from core.figures.wording import number
from core.results.dose import DoseResult
from core.spec.drafts import settled, value_of
from core.spec.interventions import Change, Project
from core.spec.request import Request, ask
from pages.shared import sides
from pages.shared.panels import answer, panel
from pages.shared.sections.drawn import drawn
from pages.shared.sections.view import View, as_code

HELP = (
    "The strength of one change in both directions, all other clamps kept. Purple: probability of "
    "the watched tokens, over all tokens of the prompt. Grey: 95 % of 20 random changes that move "
    "the stream as far. Below: how much worse the model gets at a neutral text, with the same of "
    "the random changes. Usable: beyond the random changes while the neutral text loses less than "
    "half a nat per token. Best usable: the best compromise of both (their harmonic mean)."
)


def question(view: View, changes: Sequence[Change], item: int, unit: float = 0.0) -> Request:
    """The sweep of one of the changes. Where its slider stands is no part of the question."""
    swept = tuple(
        settled(change, unit) if number_ == item else change
        for number_, change in enumerate(changes)
    )
    return ask("dose", view.model, view.prompt, interventions=swept, item=item, seed=view.seed)


def draw(
    request: Request,
    change: Change,
    *,
    key: str,
    grace: float,
    use: Callable[[float], None] | None = None,
) -> None:
    """The figure, its strength now that of `change`; `use(strength)` takes the best usable one."""
    result = answer(request, key=key, grace=grace, height=480)
    if not isinstance(result, DoseResult):
        return
    panel(
        result,
        drawn(drawing.figure, result, current=_steps(result, change)),
        key=key,
        title="Dose and response",
        help=HELP,
        caption=drawing.caption(result),
        python=as_code(request),
    )
    if result.best and use and sides.first():
        _best(result, use, key)


def _steps(result: DoseResult, change: Change) -> float:
    value = change.share if isinstance(change, Project) else value_of(change)
    return result.current if value is None else (value - result.origin) / result.unit


def _best(result: DoseResult, use: Callable[[float], None], key: str) -> None:
    stop = result.best[0]
    value = result.origin + stop * result.unit
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        words = f"**Best usable strength: {number(stop, sign=True)}** ({number(value)})"
        st.markdown(words, width="content")
        st.button(
            "use it",
            key=f"{key}_best",
            help="Set the strength to the best compromise of effect and intact neutral text",
            on_click=use,
            args=(value,),
        )
