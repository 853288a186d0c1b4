"""Long questions that a person begins: a button first, then the answer as any other."""

import streamlit as st

from core.results.base import Result
from core.spec.request import Request
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
    back costs nothing.
    """
    name = request.key()
    started: list[str] = st.session_state.setdefault(_BEGUN, [])
    if name in started:
        return answer(request, key=key, grace=grace, height=height)
    sentence(teach, "info")
    st.button(label, key=f"{key}_begin", type="primary", on_click=_begin, args=(name,))
    return None


def _begin(name: str) -> None:
    started: list[str] = st.session_state.setdefault(_BEGUN, [])
    started.append(name)
    del started[:-MOST]
