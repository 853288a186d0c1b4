"""The status page on a made-up engine."""

import pytest

from core.store import store
from tests.pages import fake
from tests.pages.fake import FakeEngine, notes, settled, texts, visit


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    return fake.install(monkeypatch)


def test_every_part_of_the_machinery_is_spoken_of():
    at = visit("status")
    titles = [heading.value for heading in at.subheader]
    assert titles == ["Machine", "Queue", "Store", "Kernels", "Models", "Versions"]
    assert "Nothing is being worked on." in texts(at)
    assert "streamlit" in texts(at)


def test_the_checks_of_the_model_are_listed_with_their_numbers():
    at = visit("status")
    tables = [frame.value.to_string() for frame in at.dataframe]
    assert any("resid_pre + attn_out + mlp_out" in text and "1.2e-07" in text for text in tables)


def test_a_model_that_failed_says_why():
    at = visit("status", "?model=/missing")
    assert any("no folder" in note for note in notes(at))


def test_clearing_forgets_every_answer():
    at = visit("steer")
    at = visit("status")
    assert store().stats().memory_entries > 0
    at.button(key="clear_store").click()
    settled(at)
    assert store().stats().memory_entries == 0
    assert "0 answers" in texts(at)


def test_hosted_mode_shows_no_folders_and_no_clearing(monkeypatch):
    monkeypatch.setenv("EIDOSCOPE_HOSTED", "1")
    at = visit("status")
    assert "Home:" not in texts(at)
    assert not [button for button in at.button if button.key == "clear_store"]
