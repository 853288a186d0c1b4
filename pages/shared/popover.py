"""Popovers that draw their inside only while they are open.

A closed popover's widgets cost as much in every run as visible ones: forms and uploads that are
seldom looked at were two fifths of the time between a click and its answer.
"""

from collections.abc import Callable
from typing import Any

import streamlit as st

from pages.shared import sides


def popover(label: str, draw: Callable[..., Any], *args: Any, key: str, **options: Any) -> None:
    """A popover whose inside is `draw(*args)`, drawn when a person opens it."""
    if not sides.first():
        return  # what is set, and what speaks of all models, stands once
    box = st.popover(label, key=key, on_change="rerun", **options)
    if is_open(box):
        with box:
            draw(*args)


def is_open(box: Any) -> bool:
    """Does the person have this popover open? The tests of pages, which cannot, say yes."""
    return bool(box.open)
