"""AppTest cannot open a popover, so here every one is open."""

import pytest


@pytest.fixture(autouse=True)
def open_popovers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pages.shared.popover.is_open", lambda box: True)
