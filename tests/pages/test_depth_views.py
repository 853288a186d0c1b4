"""Probes, transfer and the lens on the Depth page: what they ask, when, and what they show."""

import json
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.labelled import built_in
from core.queue import Progress
from core.results.base import Result
from core.spec.request import Request
from core.spec.workspace import Workspace
from pages.shared.sections import depth_lens, depth_probes, depth_transfer
from tests.pages import fake
from tests.pages.depth_samples import lens_depth, probe_family, transfer
from tests.pages.fake import FakeEngine, field, notes, query, settled, texts, visit, work
from tests.pages.samples import HOSTILE

FOUR = ("animals", "review", "review with not", "animal or food")


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    made = fake.install(monkeypatch)
    before = made.answer

    def answer(request: Request, progress: Progress) -> Result:
        if request.analysis not in ("probe_family", "transfer", "lens_depth"):
            return before(request, progress)
        made.asked.append(request)
        bad = made.hostile
        if request.analysis == "probe_family":
            return probe_family(names=(HOSTILE[2], HOSTILE[4]) if bad else ("female", "male"))
        if request.analysis == "transfer":
            sets: Any = request.option("sets")
            return transfer(tuple(HOSTILE[: len(sets)]) if bad else tuple(sets))
        words = tuple(HOSTILE[2:5]) if bad else ("Paris", "Rome")
        return lens_depth(str(request.option("task")), words=words)

    monkeypatch.setattr(made, "answer", answer)
    return made


def opened(**choices: str) -> AppTest:
    state = Workspace()
    for name, value in choices.items():
        state = state.with_choice(name, value)
    return visit("depth", query(state))


def begin(at: AppTest, key: str) -> AppTest:
    at.button(key=f"{key}_begin").click()
    return settled(at)


def chart(at: AppTest) -> dict[str, Any]:
    (one,) = at.get("plotly_chart")
    found: dict[str, Any] = json.loads(one.proto.spec)
    return found


def test_probes_wait_for_the_button_and_say_which_reads_best(engine: FakeEngine) -> None:
    at = opened(depths="probes", read="mean")
    assert engine.questions("probe_family") == []
    begin(at, "family")
    (request,) = engine.questions("probe_family")
    assert dict(request.options) == {
        "labelled": "gender carried", "position": "mean", "seed": 0
    }  # fmt: skip
    said = texts(at)
    assert "female against male: logistic regression reads it best behind layer 4" in said
    assert "shuffled labels" in said
    names = [trace.get("name") for trace in chart(at)["data"]]
    assert set(depth_probes.drawing.NAMES.values()) <= set(names)


def test_agreement_is_that_of_the_best_layer_or_of_the_chosen_one() -> None:
    at = begin(opened(depths="probes", viewed="agreement"), "family")
    assert "How far the directions agree behind layer 4" in texts(at)
    assert chart(at)["data"][0]["text"][0][1] == "0.25"
    field(at, "family_layer").set_value(2)
    settled(at)
    assert "How far the directions agree behind layer 1" in texts(at)
    assert chart(at)["data"][0]["text"][0][1] == "0.5"
    assert fake.address(at)["depth"] == "2"
    late = begin(opened(depths="probes", viewed="agreement", depth="99"), "family")
    assert field(late, "family_layer").value == 8


def test_transfer_is_asked_over_the_sets_of_the_link(engine: FakeEngine) -> None:
    at = begin(opened(depths="transfer"), "transfer")
    assert dict(engine.questions("transfer")[-1].options) == {
        "sets": FOUR, "method": "lda", "seed": 0
    }  # fmt: skip
    assert "0.9 on their own held-out texts" in texts(at)
    field(at, "sets").set_value(["plural", "animals"])
    settled(at)
    assert fake.address(at)["sets"] == "plural,animals"
    assert len(engine.questions("transfer")) == 1  # other sets are another button
    begin(at, "transfer")
    assert engine.questions("transfer")[-1].option("sets") == ("animals", "plural")
    begin(opened(depths="transfer", sets="animals,nonsense,review", family="pca"), "transfer")
    last = dict(engine.questions("transfer")[-1].options)
    assert (last["sets"], last["method"]) == (("animals", "review"), "pca")


def test_one_set_alone_is_a_sentence_and_no_set_stays_none(engine: FakeEngine) -> None:
    for value in ("animals", "none"):
        at = opened(depths="transfer", sets=value)
        assert any("two sets or more" in note for note in notes(at))
    field(at, "sets").set_value(["animals"])
    settled(at)
    field(at, "sets").set_value([])
    settled(at)
    assert work(at).choice("sets") == "none"
    assert field(at, "sets").value == []
    assert engine.questions("transfer") == []


def test_the_probe_of_one_set_is_followed_through_layers() -> None:
    at = begin(opened(depths="transfer", viewed="layers", learned="review with not"), "transfer")
    assert "Learned from review with not" in texts(at)
    assert "review with not (held out)" in [trace.get("name") for trace in chart(at)["data"]]
    at = begin(opened(depths="transfer", viewed="across", learned="animal or food"), "transfer")
    assert "animal or food: learned at one layer, read at another" in texts(at)


def test_every_set_that_is_offered_has_a_name_that_a_link_can_hold() -> None:
    assert set(FOUR) == set(depth_transfer.FIRST) <= set(depth_transfer.offered())
    assert not any("," in name for name in built_in())
    longest = sorted(map(len, depth_transfer.offered()))[-depth_transfer.MOST :]
    assert sum(longest) + len(longest) <= 500


@pytest.mark.parametrize("shown", depth_lens.WAYS)
def test_the_lens_reads_a_task_in_every_way(engine: FakeEngine, shown: str) -> None:
    at = opened(depths="lens", lensed="capital", viewed=shown)
    (request,) = engine.questions("lens_depth")
    assert dict(request.options) == {"task": "capital", "seed": 0}
    said = texts(at)
    assert depth_lens.WAYS[shown].title in said
    assert "Half of 12 prompts have their final choice from layer 3 on" in said
    assert "random states of equal norm" in said
    assert notes(at) == []


def test_a_way_of_another_view_becomes_the_first_and_a_task_there_is_not_too(
    engine: FakeEngine,
) -> None:
    at = opened(depths="lens", viewed="agreement", lensed="nonsense")
    assert depth_lens.WAYS["settled"].title in texts(at)
    assert engine.questions("lens_depth")[-1].option("task") == "translation"


def test_a_question_begins_in_a_tab_in_which_something_was_done_once(engine: FakeEngine) -> None:
    at = opened(depths="transfer")
    at.session_state["_begun"] = {"name_feature": 1}  # what `once` keeps
    begin(at, "transfer")
    assert len(engine.questions("transfer")) == 1
    assert at.session_state["_begun"] == {"name_feature": 1}


@pytest.mark.parametrize(
    ("view", "viewed", "key"),
    [
        ("probes", "auc", "family"),
        ("transfer", "pairs", "transfer"),
        ("transfer", "layers", "transfer"),
        ("lens", "words", ""),
    ],
)
def test_hostile_names_are_shown_as_they_are(
    engine: FakeEngine, view: str, viewed: str, key: str
) -> None:
    engine.hostile = True
    at = opened(depths=view, viewed=viewed)
    if key:
        begin(at, key)
    assert "<script>" not in texts(at)
    assert "<img src=x" not in json.dumps(chart(at))
