"""A framed part of a page that is not one figure: its heading and its foot, as `panel` has them."""

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from core.figures.wording import number
from core.results.base import Result
from pages.shared.notices import head, small
from pages.shared.panels import asked, export_row


@contextmanager
def framed(title: str, help: str, *, key: str, shows: str = "") -> Iterator[None]:
    """A bordered box: title, how to read what is in it, and what is seen."""
    with st.container(border=True, gap="small", key=f"{key}_panel"):
        st.html(head(title, help, shows))
        yield


def foot(result: Result, caption: str, *, key: str, python: str, asked_as: str = "") -> None:
    """Control and sample, how the answer came, and the way to take the numbers away.

    `asked_as` is the key the question was asked under, where it is not `key`.
    """
    with line():
        st.html(small(f"{caption} · {_done(asked_as or key)}", quiet=True), width="stretch")
        with st.container(width="content"):
            export_row(result, key=key, python=python)


def _done(key: str) -> str:
    job = asked().job(key)
    seconds = job.seconds if job else 0.0
    return f"done in {number(seconds)} s" if seconds >= 0.001 else "done, stored"


def line() -> "st.delta_generator.DeltaGenerator":
    """A row of the frame: text left, a button right."""
    return st.container(horizontal=True, vertical_alignment="center", gap="small", wrap=False)
