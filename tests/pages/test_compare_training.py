"""Compare, over training: the slider, what came when, doors, and checkpoints in the picker."""

import json
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core import home
from core.queue import Progress
from core.results.base import Result
from core.spec.concept import Concept
from core.spec.request import ModelRef, Request
from core.spec.workspace import Selection, Workspace
from tests.pages import fake, training_samples
from tests.pages.fake import FakeEngine, field, notes, query, settled, texts, visit, work
from tests.pages.samples import HOSTILE

SMALL = "embedded-small"
NAMES = home.checkpoint_names(SMALL)


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    made = fake.install(monkeypatch)
    before = made.answer

    def answer(request: Request, progress: Progress) -> Result:
        if request.analysis != "training":
            return before(request, progress)
        made.asked.append(request)
        concept = HOSTILE[2] if made.hostile else "gender"
        return training_samples.training(request.model.name, NAMES, concept)

    monkeypatch.setattr(made, "answer", answer)
    return made


def opened(*models: str, selection: Selection | None = None, **choices: str) -> AppTest:
    state = Workspace(
        models=tuple(map(ModelRef, models)) or (ModelRef(SMALL),),
        selection=selection or Selection(),
    )
    for name, value in {"comparing": "training", **choices}.items():
        state = state.with_choice(name, value)
    return visit("compare", query(state))


def begun(at: AppTest) -> AppTest:
    at.button(key="over_training_begin").click()
    return settled(at)


def charts(at: AppTest) -> list[dict[str, Any]]:
    return [json.loads(one.proto.spec) for one in at.get("plotly_chart")]


def slider(at: AppTest) -> Any:
    (found,) = [one for one in at.get("select_slider") if str(one.key).startswith("moment__")]
    return found


def links(at: AppTest) -> list[str]:
    return [f"{one.proto.page} {one.proto.query_string}" for one in at.get("page_link")]


def test_a_model_without_checkpoints_is_told_which_has_them(engine: FakeEngine) -> None:
    at = opened("embedded")
    assert any("embedded has no checkpoints beside it" in note for note in notes(at))
    assert engine.questions("training") == []
    at.button(key=f"train_{SMALL}").click()
    settled(at)
    assert work(at).models == (ModelRef(SMALL),)
    assert f"Read {len(NAMES)} checkpoints" in [button.label for button in at.button]


def test_what_came_when_is_said_with_its_control_and_a_door(engine: FakeEngine) -> None:
    at = begun(opened())
    (request,) = engine.questions("training")
    assert request.model == ModelRef(SMALL)
    assert dict(request.options) == {"seed": 0}
    said = texts(at)
    assert "**step 100:** previous token, `L1.head[2]`, in the end 0.9 (control 0.03)" in said
    assert "**Forgotten:** induction, `L2.head[0]`, from step 10, gone at step 1,000" in said
    assert "`gender`, best behind layer 1" in said
    assert "embedded: plural" not in said.split("What came when")[1]
    doors = [one for one in links(at) if "head=2" in one and "layer=1" in one]
    assert any("step-" in one and f"model_b={SMALL}" in one for one in doors)
    assert any("depths=training" in one for one in links(at))
    assert any("drawn=born" in one for one in links(at))


def test_the_slider_chooses_the_checkpoint_of_the_map(engine: FakeEngine) -> None:
    at = begun(opened(came="previous_token"))
    assert "at step" in texts(at)
    first = charts(at)[0]
    name = NAMES[0].rpartition("/")[2]
    slider(at).set_value(name)
    settled(at)
    assert work(at).choice("moment") == name
    assert charts(at)[0]["data"][0]["z"] != first["data"][0]["z"]
    assert len(engine.questions("training")) == 1


def test_two_checkpoints_stand_side_by_side_at_the_press_of_a_button(engine: FakeEngine) -> None:
    name = NAMES[3].rpartition("/")[2]
    at = begun(opened(moment=name))
    at.button(key="compare_moment").click()
    at.run()
    assert work(at).models == (ModelRef(NAMES[3]), ModelRef(SMALL))
    assert work(at).choice("comparing") == "summary"


def test_the_training_of_a_checkpoint_is_that_of_its_model(engine: FakeEngine) -> None:
    begun(opened(NAMES[2]))
    assert engine.questions("training")[0].model == ModelRef(SMALL)


@pytest.mark.parametrize("view", ["concepts", "overlap", "neurons", "loss"])
def test_every_view_is_drawn(engine: FakeEngine, view: str) -> None:
    at = begun(opened(grew=view, came="effect", selection=Selection(layer=1, head=2)))
    assert len(charts(at)) == 3
    assert any("head=2" in one for one in links(at))


def test_concepts_task_and_checkpoints_are_chosen(engine: FakeEngine) -> None:
    own = Concept("mine", ("a", "b", "c", "d"), ("e", "f", "g", "h"))
    state = Workspace(models=(ModelRef("embedded"),), own=own)
    for name, value in {
        "comparing": "training", "grown": "mine,gender,none such", "needed": "facts",
        "stages": "@step1, @step2",
    }.items():  # fmt: skip
        state = state.with_choice(name, value)
    begun(visit("compare", query(state)))
    (request,) = engine.questions("training")
    asked = dict(request.options)
    assert asked["checkpoints"] == ("@step1", "@step2")
    assert asked["task"] == "facts"
    assert asked["concepts"][1:] == ("gender",)
    assert dict(asked["concepts"][0])["name"] == "mine"


def test_a_checkpoint_takes_a_slot_from_the_picker(engine: FakeEngine) -> None:
    at = opened()
    assert field(at, "stage_0").value == SMALL
    field(at, "stage_1").set_value(NAMES[0])  # B is free: A's checkpoints are offered
    settled(at)
    at.run()
    assert work(at).models == (ModelRef(SMALL), ModelRef(NAMES[0]))
    field(at, "stage_0").set_value(NAMES[1])
    settled(at)
    at.run()
    assert work(at).models == (ModelRef(NAMES[1]), ModelRef(NAMES[0]))
    assert not [one for one in at.get("selectbox") if "stage_9" in str(one.key)]


def test_hostile_names_do_no_harm(engine: FakeEngine) -> None:
    engine.hostile = True
    at = begun(opened())
    assert not at.exception
    for body in fake.htmls(at):
        assert "<img" not in body
