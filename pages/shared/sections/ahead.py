"""Asking in advance: the questions of a page go to the worker before the first is drawn.

The worker is then never idle while the page draws, and whatever is no longer asked for is
let go in the same moment.
"""

import time
from collections.abc import Iterable

import streamlit as st

from core.jobs import Job, submit
from core.spec.request import Request

_AHEAD = "_ahead"


def ahead(group: str, requests: Iterable[Request]) -> list[Job]:
    """Jobs of these questions in the order given; the group's earlier ones are cancelled."""
    groups: dict[str, dict[str, Job]] = st.session_state.setdefault(_AHEAD, {})
    before = groups.get(group, {})
    now: dict[str, Job] = {}
    for request in requests:
        key = request.key()
        held = before.pop(key, None)
        now[key] = submit(request) if held is None or held.state == "cancelled" else held
    groups[group] = now
    for job in before.values():
        job.cancel()
    return list(now.values())


class Patience:
    """How long one run of a page may wait for answers in all."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self._end - time.monotonic())
