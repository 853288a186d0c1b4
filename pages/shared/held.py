"""Small questions a tab keeps asking: model cards and observed maxima. Never waits for them."""

import streamlit as st

from core.jobs import Job, submit
from core.spec.request import Request

_HELD = "_held"
MOST = 64


def held(request: Request) -> Job:
    """This tab's job for the question; asked once, read as often as one likes."""
    jobs: dict[str, Job] = st.session_state.setdefault(_HELD, {})
    key = request.key()
    if key not in jobs or jobs[key].state == "cancelled":
        jobs[key] = submit(request)
        while len(jobs) > MOST:
            jobs.pop(next(iter(jobs))).cancel()
    return jobs[key]


def ask_again(request: Request) -> None:
    """Forget what was answered; the next `held` asks anew."""
    st.session_state.setdefault(_HELD, {}).pop(request.key(), None)


def waiting() -> tuple[Job, ...]:
    """The tab's questions that have no answer yet."""
    return tuple(job for job in st.session_state.get(_HELD, {}).values() if not job.finished)
