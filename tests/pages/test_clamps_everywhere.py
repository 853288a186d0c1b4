"""A clamp is seen on every page, acts or is said not to; clearing it brings the numbers back."""

import numpy as np
import pytest

from core.spec.interventions import Clamp
from core.spec.request import ModelRef
from core.spec.site import site
from core.spec.workspace import TrayItem, Workspace
from pages.shared.menu import MENU
from pages.shared.tray import SET_ASIDE
from tests.pages.fake import notes, query, settled, texts, visit, work

SMALL = "embedded-small"
CLAMPED = TrayItem(Clamp(site("L2.neuron[17]"), 8.0), unit=1.0)
# What these pages show is about models as they are.
ASIDE = ("geometry", "depth", "compare", "directions")
pytestmark = pytest.mark.usefixtures("kept_answers")


def opened(page: str, *models: str, clamped: bool = True):
    tray = (CLAMPED,) if clamped else ()
    state = Workspace(tuple(ModelRef(name) for name in models or (SMALL,)), tray=tray)
    return settled(visit(page, query(state), seconds=90), 90)


@pytest.mark.parametrize("page", [one.name for one in MENU])
def test_every_page_shows_the_clamp_and_says_where_it_does_not_act(page: str) -> None:
    at = opened(page)
    assert "(1)" in texts(at)
    assert "L2.neuron[17]" in texts(at)
    assert any(SET_ASIDE[:40] in note for note in notes(at)) == (page in ASIDE)


@pytest.mark.parametrize("page", ["geometry", "directions"])
def test_without_clamps_nothing_is_said_of_them(page: str) -> None:
    assert not any(SET_ASIDE[:40] in note for note in notes(opened(page, clamped=False)))


def bars(at) -> list[np.ndarray]:
    """The numbers of the first chart of the page: the next tokens."""
    import json

    figure = json.loads(at.get("plotly_chart")[0].proto.spec)
    return [np.array(json.dumps(trace.get("x"))) for trace in figure["data"]]


def test_clearing_brings_back_the_exact_numbers() -> None:
    clean = bars(opened("steer", clamped=False))
    at = opened("steer")
    assert [str(one) for one in bars(at)] != [str(one) for one in clean]
    at.button(key="tray_clear").click()
    at = settled(at, 60)
    assert work(at).tray == ()
    assert [str(one) for one in bars(at)] == [str(one) for one in clean]


def test_the_same_model_twice_stands_clamped_beside_unclamped() -> None:
    at = opened("steer", SMALL, SMALL)
    assert "with the clamps in the first, without them in the second" in texts(at)
    alone = opened("steer", clamped=False)
    charts = at.get("plotly_chart")
    next_tokens = [chart.proto.spec for chart in charts if "probability" in chart.proto.spec]
    assert next_tokens[0] != next_tokens[1]
    assert "B embedded-small minus A" in texts(at)
    assert not alone.exception
