"""Long questions that a person begins: a button first, then the answer as any other."""

from dataclasses import replace

import streamlit as st

from core.results.base import Result
from core.spec.request import Request
from pages.shared import sides
from pages.shared.notices import sentence
from pages.shared.panels import answer

_BEGUN = "_begun_questions"
MOST = 64


def begun(
    request: Request,
    *,
    key: str,
    label: str,
    teach: str,
    grace: float,
    height: int = 320,
) -> Result | None:
    """The answer once it was asked for by the button `label`; before that `teach` beside it.

    A question that was begun in this tab stays begun, so that changing something and changing it
    back costs nothing. Where models stand beside each other it is begun for all of them.
    """
    started: list[str] = st.session_state.setdefault(_BEGUN, [])
    if request.key() in started:
        return answer(request, key=key, grace=grace, height=height)
    if sides.first():
        sentence(teach, "info")
    models = sides.here().models or (request.model,)
    names = [replace(request, model=model).key() for model in models]
    own = f"{sides.key(key)}_begin"
    st.button(label, key=own, type="primary", on_click=_begin, args=(*names,))
    return None


def _begin(*names: str) -> None:
    started: list[str] = st.session_state.setdefault(_BEGUN, [])
    started.extend(name for name in names if name not in started)
    del started[:-MOST]
