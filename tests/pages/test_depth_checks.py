"""The checks of probes on the Depth page, and where the direction of a layer leads."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.queue import Progress
from core.results.base import Result
from core.spec.interventions import Add, Project
from core.spec.request import Request
from core.spec.workspace import Workspace
from pages.shared.sections.depth_checks import CHECKS
from tests.pages import check_samples, fake
from tests.pages.depth_samples import depth
from tests.pages.fake import FakeEngine, field, notes, query, settled, texts, visit, work
from tests.pages.samples import HOSTILE

SAMPLES: dict[str, Callable[..., Result]] = {
    check.analysis: getattr(check_samples, check.analysis) for check in CHECKS.values()
}
SAID = {
    "takes": "the labels take 0.1 bits a text behind layer 4 (shuffled 1.2); 20 texts teach it",
    "sure": "behind layer 4 the probe is too sure (temperature 3)",
    "noise": "later with letters in front (+1); lower with typing errors (−0.15)",
    "guides": "difference in means at L4 guides best (effect 0.7",
}
THREE = ("farm", "beach", "school")


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    made = fake.install(monkeypatch)
    before = made.answer

    def answer(request: Request, progress: Progress) -> Result:
        if request.analysis == "depth":
            made.asked.append(request)
            name = request.option("labelled")
            if made.hostile:
                return depth(name=HOSTILE[3], classes=tuple(HOSTILE[2:5]))
            return depth(classes=THREE) if name == "story topic" else depth()
        if request.analysis not in SAMPLES:
            return before(request, progress)
        made.asked.append(request)
        sample = SAMPLES[request.analysis]
        return sample(HOSTILE[3], HOSTILE[2]) if made.hostile else sample()

    monkeypatch.setattr(made, "answer", answer)
    return made


def opened(**choices: str) -> AppTest:
    state = Workspace()
    for name, value in choices.items():
        state = state.with_choice(name, value)
    return visit("depth", query(state))


def begun(asked: str, **choices: str) -> AppTest:
    at = opened(depths="probes", probed=asked, **choices)
    at.button(key=f"{CHECKS[asked].analysis}_begin").click()
    return settled(at)


@pytest.mark.parametrize("asked", CHECKS)
def test_a_check_waits_for_its_button_and_says_what_it_found(
    asked: str, engine: FakeEngine
) -> None:
    at = opened(depths="probes", probed=asked, read="mean", labelled="review")
    check = CHECKS[asked]
    assert engine.questions(check.analysis) == []
    at.button(key=f"{check.analysis}_begin").click()
    settled(at)
    (request,) = engine.questions(check.analysis)
    assert dict(request.options) == {"labelled": "review", "position": "mean", "seed": 0}
    assert SAID[asked] in texts(at)
    assert len(at.get("plotly_chart")) == 1


@pytest.mark.parametrize(
    ("asked", "view"), [(asked, view) for asked, check in CHECKS.items() for view in check.ways]
)
def test_every_way_to_show_it_has_its_title(asked: str, view: str) -> None:
    at = begun(asked, viewed=view)
    assert not at.exception
    assert CHECKS[asked].ways[view].title in texts(at)
    assert len(at.get("plotly_chart")) == 1


def test_a_layer_is_typed_where_a_picture_is_about_one() -> None:
    at = begun("takes", viewed="sizes")
    assert field(at, "checked_layer").value == 5
    field(at, "checked_layer").set_value(2)
    settled(at)
    assert work(at).choice("depth") == "2"


def test_a_model_that_reads_both_ways_is_not_offered_parts(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        SAMPLES, "calibration", lambda *_: check_samples.calibration(both_ways=True)
    )
    at = begun("sure", viewed="parts")
    assert not at.exception
    assert "What a probability means" in texts(at)


def test_the_chosen_direction_goes_into_the_clamps_as_it_was_pushed() -> None:
    at = begun("guides", family="difference")
    at.button(key="guides_push").click()
    settled(at)
    at.button(key="guides_out").click()
    settled(at)
    push, out = (item.change for item in work(at).tray)
    assert isinstance(push, Add)
    assert (str(push.site), push.coefficient, push.keep_norm) == ("L0.resid_post", 1.0, True)
    assert isinstance(out, Project)
    assert np.allclose(push.direction, check_samples.detect_guide().direction[1, 0], atol=1e-4)


@pytest.mark.parametrize("asked", CHECKS)
def test_hostile_names_are_shown_as_they_are(asked: str, engine: FakeEngine) -> None:
    engine.hostile = True
    at = begun(asked)
    assert not at.exception
    assert "<script>" not in texts(at)


# --- a layer of the curve -------------------------------------------------------------------


def test_the_sentence_is_about_the_score_that_is_drawn() -> None:
    assert "(AUC 0.97 at layer 8; words alone" in texts(opened(metric="auc"))


def test_a_layer_shows_how_its_texts_lie_along_the_probe() -> None:
    at = opened(depth="5")
    assert len(at.get("plotly_chart")) == 2
    spec: Any = at.get("plotly_chart")[1].proto.spec
    assert "female (20)" in spec
    assert "margin towards female" in spec


def test_the_direction_is_pushed_by_what_lies_between_the_classes() -> None:
    at = opened(depth="4")
    at.button(key="depth_push").click()
    settled(at)
    (item,) = work(at).tray
    assert isinstance(item.change, Add)
    sample = depth()
    assert item.change.coefficient == pytest.approx(sample.gap(4, 1), rel=1e-4)
    assert item.unit == pytest.approx(abs(sample.gap(4, 1)), rel=1e-4)
    assert np.allclose(item.change.direction, sample.direction[4, 0], atol=1e-4)


def test_of_several_classes_one_stands_against_the_rest() -> None:
    at = opened(depth="4", labelled="story topic")
    assert field(at, "depth_towards").value == "school"
    field(at, "depth_towards").set_value("beach")
    settled(at)
    assert work(at).choice("towards") == "beach"
    at.button(key="depth_take_out").click()
    settled(at)
    (item,) = work(at).tray
    weight = depth(classes=THREE).weight[4].astype(float)
    meant = weight[1] - (weight[0] + weight[2]) / 2
    assert np.allclose(item.change.direction, meant / np.linalg.norm(meant), atol=1e-4)  # type: ignore[union-attr]
    at.button(key="depth_directions").click()
    settled(at)
    own = work(at).own
    assert own is not None
    assert own.name == "beach, not the others"


def test_the_probe_itself_goes_on_to_directions_for_all_layers() -> None:
    at = opened(depth="4")
    at.button(key="depth_probe_directions").click()
    settled(at)
    assert work(at).choice("method") == "given"
    assert work(at).choice("at") == "3"
    handed = at.session_state["_direction_vectors"]
    assert np.allclose(handed, depth().direction[1:, 0], atol=1e-4)
    assert notes(at) == []
