"""From a question to its answer on the page: waiting, failing, and the frame of a figure."""

import html
from collections.abc import Callable, Sequence
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from core.figures import table
from core.figures.theme import ROLES, Look
from core.jobs import Job, submit
from core.results.base import Result
from core.spec.request import Request
from pages.shared import sides, state
from pages.shared.clicks import pickable_chart
from pages.shared.export import export_row
from pages.shared.notices import head, sentence, shown_text

__all__ = ["answer", "ask", "export_row", "let_go", "look", "panel"]

POLL = 0.3  # seconds between looks at a job that is not finished


class Asked:
    """The jobs of one browser tab, one per panel key. They end with the tab."""

    def __init__(self) -> None:
        self._by_key: dict[str, tuple[Request, Job]] = {}
        self._wanted: set[str] = set()

    def ask(self, name: str, request: Request, *, bulk: bool = False) -> Job:
        """The job for this question; another question under the same key is let go.

        `bulk` work gives way, between its batches, to whatever is asked for meanwhile.
        """
        key = sides.key(name)
        self._wanted.add(key)
        held = self._by_key.get(key)
        if held and held[0] == request:
            return held[1]
        self.forget(key)
        job = submit(request, bulk=bulk)
        self._by_key[key] = (request, job)
        return job

    def job(self, key: str) -> Job | None:
        held = self._by_key.get(sides.key(key))
        return held[1] if held else None

    def forget(self, key: str) -> None:
        """Let go of the job of this key; it is cancelled when nobody else wants it."""
        held = self._by_key.pop(sides.key(key), None)
        if held:
            held[1].cancel()

    def let_go(self) -> None:
        for key in set(self._by_key) - self._wanted:
            self.forget(key)
        self._wanted.clear()

    def release(self) -> None:
        for key in list(self._by_key):
            self.forget(key)


@st.cache_resource(scope="session", on_release=Asked.release, show_spinner=False)
def asked() -> Asked:
    """This tab's jobs, cancelled when the tab closes."""
    return Asked()


def look() -> Look:
    """The look of this visitor's theme, for the figure functions; the page sets the titles."""
    return Look(dark=st.context.theme.type == "dark", titled=False)


def ask(request: Request, *, key: str) -> None:
    """Begin to work on a question that `answer` will ask for further down the page."""
    asked().ask(key, request)


def let_go() -> None:
    """At the end of a full run: cancel what an earlier run asked for and this one did not."""
    asked().let_go()


def answer(
    request: Request,
    *,
    key: str,
    grace: float = 0.35,
    partial: Callable[[Any], None] | None = None,
    height: int = 320,
    bulk: bool = False,
) -> Result | None:
    """The answer, or None while it is being worked out, has failed or was cancelled.

    Waits `grace` seconds at most; then draws a frame of `height` pixels with a bar, what is
    being done and a Cancel button, and asks for a rerun when the answer is there.
    `partial(job.partial)` draws what is there already, inside that frame.
    One question at a time per `key`: a new one cancels the old. `bulk` as in `Asked.ask`.
    """
    key = sides.key(key)
    job = asked().ask(key, request, bulk=bulk)
    job.wait(grace)
    if job.state == "done":
        result: Result = job.result
        return result
    if job.finished:
        with st.container(border=True, key=f"{key}_frame"):
            _ended(job, key)
    else:
        with st.container(border=True, height=height, key=f"{key}_frame"):
            _watch(job, key, partial)
    return None


def _watch(job: Job, key: str, partial: Callable[[Any], None] | None) -> None:
    """The frame of an answer to come. A fragment: only this part of the page runs again."""

    @st.fragment(run_every=POLL)
    def watched() -> None:
        if job.finished:
            state.rerun()  # the whole page: the answer is drawn in place of this frame
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.html(_progress(job), width="stretch")
            st.button("Cancel", key=f"{key}_cancel", on_click=job.cancel)
        st.progress(min(1.0, max(0.0, job.share)))
        if show is not None and job.partial is not None:
            show(job.partial)

    show = sides.bound(partial) if partial is not None else partial
    watched()


def drawn_again(job: Job) -> None:
    """Run the page again once this is there; until then nothing is seen of it."""

    @st.fragment(run_every=POLL)
    def watched() -> None:
        if job.finished:
            state.rerun()

    if not job.finished:
        watched()


def _progress(job: Job) -> str:
    word = "waiting for its turn" if job.state == "queued" else "working"
    parts = [word, shown_text(job.note, 120), f"{job.seconds:.1f} s"]
    return _words(" · ".join(part for part in parts if part), "muted", role="status")


def _ended(job: Job, key: str) -> None:
    """Why there is no answer, and the way to ask once more."""
    if job.state == "failed":
        sentence(job.error + (f" (id {job.error_id})" if job.error_id else ""))
    else:
        st.html(_words("cancelled", "muted", role="status"))
    again = "Try again" if job.state == "failed" else "Ask again"
    st.button(again, key=f"{key}_again", on_click=asked().forget, args=(key,))


def panel(
    result: Result,
    figure: go.Figure,
    *,
    key: str,
    title: str,
    help: str,
    python: str,
    caption: str = "",
    picked: Sequence[int] | None = None,
    on_pick: Callable[[Sequence[int]], None] | None = None,
    grid: bool = True,
    job: Job | None = None,
    shows: str = "",
) -> None:
    """A framed figure: title and how to read it, the figure, control and sample, export.

    `key` is the one given to `answer`, so that the line can say "done in 0.2 s"; or give `job`.
    Below the title stands what the figure shows, in words (`shows`, else those of the answer),
    unless the figure says it itself.
    `picked`, `on_pick` and `grid` as in `pickable_chart`; `python` computes the same result.
    """
    key = sides.key(key)
    chart = f"{key}_chart"
    with st.container(border=True, key=f"{key}_panel", gap="xsmall"):
        shows = "" if figure.layout.title.text else shows or table.title(result)
        st.html(head(title, help, shows))
        pickable_chart(figure, key=chart, label=title, on_pick=on_pick, picked=picked, grid=grid)
        with _line():
            st.html(_words(_foot(caption, job or asked().job(key)), "muted"), width="stretch")
            with st.container(width="content"):
                export_row(result, key=chart, python=python, fig=figure, chart=chart)


def _line() -> "st.delta_generator.DeltaGenerator":
    return st.container(horizontal=True, vertical_alignment="center", gap="small", wrap=False)


def _foot(caption: str, job: Job | None) -> str:
    done = ""
    if job is not None and job.state == "done":
        done = done_in(job)
    return " · ".join(part for part in (caption, done) if part)


def done_in(job: Job) -> str:
    """How long the answer took: "done in 0.2 s"."""
    seconds = job.seconds
    if not seconds:
        return "done, stored"
    words = f"{seconds:.1f} s" if seconds >= 0.0995 else f"{max(1, round(seconds * 1000))} ms"
    return f"done in {words}"


def _words(text: str, tone: str, *, role: str = "note") -> str:
    """A line of small text as harmless HTML; the colour follows the theme by itself."""
    light, dark = ROLES[tone]
    style = (
        f"color:light-dark({light},{dark});font-size:0.9rem;line-height:1.5;"
        "font-variant-numeric:tabular-nums;overflow-wrap:anywhere"
    )
    return f'<div role="{role}" style="{style}">{html.escape(text, quote=True)}</div>'
