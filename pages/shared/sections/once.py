"""Something done at a person's word, once: watched, and then what it changed is asked anew."""

import streamlit as st

from core.results.base import Result
from core.spec.request import Request
from pages.shared import sides
from pages.shared.panels import answer, asked

_BEGUN = "_begun"  # key: how often it was begun
_DOING = "_doing"  # key: (the question, keys of what it changes, whether it gives way to others)


def begin(key: str, request: Request, changes: tuple[str, ...], *, bulk: bool = False) -> None:
    """Ask for it; `changes` are the keys of the answers that are no longer right afterwards."""
    asked().forget(key)
    st.session_state[_BEGUN] = st.session_state.get(_BEGUN, {}) | {key: begun(key) + 1}
    st.session_state.setdefault(_DOING, {})[key] = (request, changes, bulk)


def begun(key: str) -> int:
    """How often; part of the key of the popover it is begun in: a new popover is a closed one."""
    return int(st.session_state.get(_BEGUN, {}).get(key, 0))


def watched(key: str, grace: float, *, height: int = 120) -> Result | None:
    """The answer in the run in which it is first there, None in every other.

    To be called before what it changes is drawn.
    """
    if not sides.first():
        return None  # it is done once, whatever is shown beside
    doing: dict[str, tuple[Request, tuple[str, ...], bool]]
    doing = st.session_state.get(_DOING, {})
    if key not in doing:
        return None
    request, changes, bulk = doing[key]
    found = answer(request, key=key, grace=grace, height=height, bulk=bulk)
    if found is not None:
        del doing[key]
        for other in changes:
            asked().forget(other)
    return found
