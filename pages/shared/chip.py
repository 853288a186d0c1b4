"""What the machine is doing, in one line at the foot of the sidebar."""

import streamlit as st

from core import jobs, status
from core.home import hosted
from pages.shared import state
from pages.shared.held import waiting
from pages.shared.notices import code, shown_text
from pages.shared.pickers import memory

POLL_SECONDS = 0.5
MOST_LINES = 4


def draw() -> None:
    """Idle: one line. Busy: every job with its progress, looked at again twice a second."""
    busy = _busy()
    st.fragment(_lines, run_every=POLL_SECONDS if busy else None)(busy)


def _busy() -> bool:
    return bool(jobs.snapshot() or waiting())


def _lines(was_busy: bool) -> None:
    now = status.snapshot()
    if was_busy and not _busy():
        state.rerun()  # something ended that the page may wait for; and the polling ends
    device = now.device.partition(":")[0].upper() if ":" in now.device else "CPU"
    word = "working" if now.jobs else "idle"
    with st.container(key="chip", gap="xsmall"):
        st.caption(f"{word} · {shown_text(device)} · {memory(now.process_bytes)}")
        for job in now.jobs[:MOST_LINES]:
            note = f" {code(job.note, 30)}" if job.note else ""
            st.progress(job.share, text=f"{job.state} {code(job.label, 34)}{note}")
        if len(now.jobs) > MOST_LINES:
            st.caption(f"and {len(now.jobs) - MOST_LINES} more waiting")
        if now.jobs and not hosted():
            st.button("Cancel all", key="cancel_all", type="tertiary", on_click=_cancel_all)


def _cancel_all() -> None:
    jobs.cancel_all()
