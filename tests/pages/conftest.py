"""AppTest cannot open a popover, so here every one is open."""

import json
from pathlib import Path

import pytest
import streamlit as st


@pytest.fixture(autouse=True)
def open_popovers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pages.shared.popover.is_open", lambda box: True)


@pytest.fixture(scope="session")
def engine_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("engine-home")


@pytest.fixture
def kept_answers(own_home: None, engine_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One store for all tests with the real engine: what one has asked the next need not compute.

    A visitor of one's own all the same: Streamlit gives all of a test run one session.
    """
    monkeypatch.setenv("EIDOSCOPE_HOME", str(engine_home))
    st.cache_resource.clear()


@pytest.fixture(scope="session")
def week(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file of many documents in which days, dogs and cats are met."""
    days = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
    lines = [
        {"text": f"On {days[n % 7]} the {('dog', 'cat')[n % 2]} sat on the mat and ate."}
        for n in range(42)
    ]
    file = tmp_path_factory.mktemp("week") / "week.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return str(file)
