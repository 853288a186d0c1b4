"""A framed part of a page that is not one figure: its heading and its foot, as `panel` has them."""

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from core.results.base import Result
from pages.shared import sides
from pages.shared.notices import head, small
from pages.shared.panels import asked, done_in, export_row


@contextmanager
def framed(title: str, help: str, *, key: str, shows: str = "") -> Iterator[None]:
    """A bordered box: title, how to read what is in it, and what is seen."""
    with st.container(border=True, gap="small", key=f"{sides.key(key)}_panel"):
        st.html(head(title, help, shows))
        yield


def foot(result: Result, caption: str, *, key: str, python: str, asked_as: str = "") -> None:
    """Control and sample, how the answer came, and the way to take the numbers away.

    `asked_as` is the key the question was asked under, where it is not `key`.
    """
    with line():
        job = asked().job(asked_as or key)
        words = [caption, done_in(job)] if job else [caption]
        st.html(small(" · ".join(words), quiet=True), width="stretch")
        with st.container(width="content"):
            export_row(result, key=sides.key(key), python=python)


def line() -> "st.delta_generator.DeltaGenerator":
    """A row of the frame: text left, a button right."""
    return st.container(horizontal=True, vertical_alignment="center", gap="small", wrap=False)
