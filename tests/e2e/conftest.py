"""One server and one browser for all journeys; every journey fails on any fault it caused."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.harness import Chromium, Server, why_not

if TYPE_CHECKING:
    from playwright.sync_api import Page

Visit = Callable[..., "Page"]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    """The browser; without one the journeys are skipped, or failed under `make e2e`."""
    if reason := why_not():
        if os.environ.get("EIDOSCOPE_E2E_MUST_RUN"):
            pytest.fail(reason)
        pytest.skip(reason)
    from playwright.sync_api import expect

    expect.set_options(timeout=60_000)  # a busy machine is slow, not wrong
    with Chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def server(chromium: Chromium, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running Eidoscope with an empty home folder."""
    with Server(tmp_path_factory.mktemp("e2e") / "home", OMP_NUM_THREADS="1") as running:
        yield running


@pytest.fixture
def visit(chromium: Chromium, server: Server, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """`visit("/steer?layer=2", dark=True)` opens a page as a new visitor.

    Afterwards a console error, a failed load, an exception box or a traceback in the server's
    log fails the test.
    """
    chromium.forget()
    before = len(server.faults())

    def open_page(address: str = "/", **how: Any) -> "Page":
        return chromium.open(server.url + address, **how)

    yield open_page
    if os.environ.get("EIDOSCOPE_E2E_SHOTS"):
        chromium.picture(Path(__file__).parent / "shots", request.node.name)
    assert chromium.problems() == []
    assert server.faults()[before:] == []
