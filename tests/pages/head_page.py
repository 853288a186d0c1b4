"""Opening the page Heads with the real engine."""

from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.home import EMBEDDED
from core.spec.request import ModelRef
from core.spec.workspace import Selection, Workspace
from tests import tiny
from tests.pages.fake import notes, query, texts, visit

SMALL = "embedded-small"
PATIENCE = 200.0  # seconds; a busy machine is slow, not wrong
small = pytest.mark.skipif(
    not (EMBEDDED / SMALL / "config.json").exists(), reason=f"assets/models/{SMALL} is not built"
)


def opened(
    name: str = SMALL,
    prompt: str = "The cat sat. The cat",
    at: Selection | None = None,
    **choices: str,
) -> AppTest:
    start = Workspace((ModelRef(name),), prompt, selection=at or Selection())
    for key, value in choices.items():
        start = start.with_choice(key, value)
    return visit("heads", query(start), seconds=PATIENCE)


def family(
    name: str, folder: Path, prompt: str = "the cat sat on the mat", **choices: Any
) -> AppTest:
    return opened(str(tiny.make(name, folder)), prompt, **choices)


def sound(at: AppTest) -> str:
    """The page's words; nothing on it may have gone wrong."""
    said = texts(at) + " ".join(notes(at))
    assert "Something went wrong" not in said
    assert not any("eido-error" in note for note in notes(at)), notes(at)
    return said
