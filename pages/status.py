"""Status: devices, memory, queue, kernels and why, store, versions, checks of loaded models."""

import streamlit as st

from core import status
from core.figures.wording import count, number
from core.home import hosted
from pages.shared import pickers, state
from pages.shared.frame import page
from pages.shared.notices import code, sentence, shown_text
from pages.shared.pickers import memory


def machine(now: status.Status) -> None:
    """Device, memory, threads."""
    st.subheader("Machine", anchor=False)
    st.text(f"Device: {shown_text(now.device)}")
    used, total = now.total_bytes - now.available_bytes, now.total_bytes
    st.progress(
        used / total if total else 0.0,
        text=f"Memory: this process {memory(now.process_bytes)}, all in use {memory(used)} "
        f"of {memory(total)}, {memory(now.available_bytes)} free",
    )
    engine = count(now.compute_threads, "thread") if now.compute_threads else "not loaded yet"
    st.text(f"Engine: {engine}; process: {count(now.threads, 'thread')}")
    if not hosted():
        st.text(f"Home: {shown_text(now.home)}")


def queue(now: status.Status) -> None:
    """What is worked on and what waits."""
    st.subheader("Queue", anchor=False)
    if not now.jobs:
        st.text("Nothing is being worked on.")
    for job in now.jobs:
        kind = "bulk, gives way" if job.bulk else "asked for now"
        note = f" {code(job.note)}" if job.note else ""
        st.progress(
            job.share,
            text=f"{job.state} {code(job.label)}{note} · {kind} · {number(job.seconds)} s",
        )


def kernels(now: status.Status) -> None:
    """Which implementation of each operation runs, and why."""
    st.subheader("Kernels", anchor=False)
    if not now.kernels:
        st.text("Chosen with the first operation that has one.")
        return
    columns = ("operation", "implementation", "reason")
    st.dataframe([dict(zip(columns, row, strict=True)) for row in now.kernels], hide_index=True)


def answers(now: status.Status) -> None:
    """What the store holds, how often it helped, and a way to empty it."""
    st.subheader("Store", anchor=False)
    store = now.store
    asked = store.memory_hits + store.disk_hits + store.misses
    share = f"{number(100 * (asked - store.misses) / asked)} %" if asked else "none asked yet"
    for line in (
        f"Answered from the store: {share} ({store.memory_hits:,} from memory, "
        f"{store.disk_hits:,} from disk, {store.misses:,} computed)",
        f"In memory: {count(store.memory_entries, 'answer')}, {memory(store.memory_bytes)} "
        f"of {memory(store.memory_limit)}",
        f"On disk: {count(store.disk_entries, 'answer')}, {memory(store.disk_bytes)} "
        f"of {memory(store.disk_limit)}",
        f"Damaged and computed again: {store.damaged:,}; evicted: {store.evicted:,}",
    ):
        st.text(line)
    if store.fault:
        sentence(store.fault, "warning")
    if not hosted():
        st.text(f"Folder: {shown_text(store.folder)}")
        st.button(
            "Clear the store",
            key="clear_store",
            help="Forget every answer, on disk too. They are computed again when asked for.",
            on_click=status.clear_answers,
        )


def models(now: status.Status) -> None:
    """The checks every loaded model was held to."""
    st.subheader("Models", anchor=False)
    st.text("In memory now: " + (", ".join(map(shown_text, now.models)) or "none"))
    for model in state.workspace().models:
        job = pickers.card_job(model)
        with st.container(border=True):
            st.markdown(code(str(model), 120))
            if job.state == "done":
                st.caption(pickers.summary(job.result))
                pickers.checks(job.result)
            elif job.state == "failed":
                sentence(job.error)
            else:
                st.progress(job.share, text=f"working {code(job.note)}")


with page("status"):
    now = status.snapshot()
    left, right = st.columns(2, gap="large")
    with left:
        machine(now)
        queue(now)
    with right:
        answers(now)
        kernels(now)
    models(now)
    st.subheader("Versions", anchor=False)
    st.text(" · ".join(f"{name} {version or 'not installed'}" for name, version in now.versions))
    st.button("Look again", key="refresh", icon=":material/refresh:")
