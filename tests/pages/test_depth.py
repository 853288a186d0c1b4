"""The Depth page on a made-up engine: what it asks, what it shows, where its layers lead."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core import jobs
from core.figures import depth_many
from core.figures.theme import Look
from core.queue import Progress
from core.results.base import Result
from core.spec.interventions import Project
from core.spec.links import to_query
from core.spec.request import ModelRef, Request
from core.spec.workspace import Workspace
from tests.pages import fake
from tests.pages.depth_samples import depth
from tests.pages.fake import FakeEngine, field, notes, query, settled, texts, visit, work
from tests.pages.samples import HOSTILE

ONSETS = {"animals": 0, "review": 5, "gender carried": 3, "sums above ten": 6, "truth of sums": 8}


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    made = fake.install(monkeypatch)
    before: Callable[[Request, Progress], Result] = made.answer

    def answer(request: Request, progress: Progress) -> Result:
        if request.analysis != "depth":
            return before(request, progress)
        made.asked.append(request)
        while not made.gate.wait(0.01):
            progress.check()
        if made.hostile:
            return depth(name=HOSTILE[3], classes=(HOSTILE[2], HOSTILE[4]))
        name = request.option("labelled")
        if isinstance(name, str) and name in (*ONSETS, "random labels"):
            return depth(onset=ONSETS.get(name), name=name)
        return depth()

    monkeypatch.setattr(made, "answer", answer)
    return made


def opened(*models: str, **choices: str) -> AppTest:
    state = Workspace(models=tuple(map(ModelRef, models)) or Workspace().models)
    for name, value in choices.items():
        state = state.with_choice(name, value)
    return visit("depth", query(state))


def pick(at: AppTest, label: str) -> AppTest:
    at.button[[b.label for b in at.button].index(label)].click()
    return settled(at)


def test_a_stranger_sees_the_curve_the_sentence_and_the_layer_of_the_onset(
    engine: FakeEngine,
) -> None:
    at = opened()
    (request,) = engine.questions("depth")
    assert dict(request.options) == {
        "labelled": "gender carried", "probe": "logistic", "position": "last", "split": "groups",
        "seed": 0, "too_long": "cut",
    }  # fmt: skip
    said = texts(at)
    assert "Readable from layer 3 of 8 (0.97 at layer 8; words alone 0.60; shuffled 0.50" in said
    assert "Layer 3: L2.resid_post" in said
    assert notes(at) == []


def test_what_is_chosen_is_asked_and_stands_in_the_address(engine: FakeEngine) -> None:
    at = opened()
    for key, value in (
        ("labelled", "truth of sums"), ("choice_read", "mean"), ("choice_probe", "lda"),
        ("choice_split", "random"),
    ):  # fmt: skip
        field(at, key).set_value(value)
        settled(at)
    last = dict(engine.questions("depth")[-1].options)
    assert (last["labelled"], last["position"]) == ("truth of sums", "mean")
    assert (last["probe"], last["split"]) == ("lda", "random")
    assert fake.address(at) == {
        "labelled": "truth of sums", "read": "mean", "probe": "lda", "split": "random"
    }  # fmt: skip


def test_a_layer_shows_what_is_confused_and_its_most_wrong_texts_first() -> None:
    at = opened(depth="5")
    said = texts(at)
    assert "Layer 5: L4.resid_post" in said
    assert "<tr><th>male</th><td>17</td><td>3</td></tr>" in said
    (table,) = [one.value for one in at.dataframe if "margin" in one.value]
    margin = table["margin"].astype(float).to_numpy()
    assert len(table) == 6
    assert (np.diff(margin) <= 0).all()
    assert list(table["is"] == table["said"]) == [False] * 6
    assert field(opened(depth="99"), "depth_layer_number").value == 8


def test_the_direction_of_a_layer_is_taken_out_at_its_site() -> None:
    at = opened(depth="4")
    at.button(key="depth_take_out").click()
    settled(at)
    (item,) = work(at).tray
    assert isinstance(item.change, Project)
    assert str(item.change.site) == "L3.resid_post"
    meant = depth().direction[4, 0]
    assert np.allclose(item.change.direction, meant, atol=1e-4)


def test_the_texts_of_a_layer_go_on_to_directions_as_a_concept(engine: FakeEngine) -> None:
    at = opened(depth="4")
    at.button(key="depth_directions").click()
    settled(at)
    own = work(at).own
    assert own is not None
    assert own.name == "female, not male"
    assert len(own.positive) == len(own.negative) == 80
    assert work(at).choice("at") == "3"
    assert work(at).choice("concept") == ""


def test_texts_that_no_concept_can_hold_are_a_sentence(engine: FakeEngine) -> None:
    at = opened()
    at.text_area(key="table_text").set_value("text,label\na,no\nb,no\na,yes\nb,yes")
    pick(at, "Use this table")
    at.button(key="depth_directions").click()
    at.run()
    assert not at.exception
    assert any("no positive texts" in note for note in notes(at))
    assert work(at).own is None


def test_a_pasted_table_is_asked_about_with_its_groups(engine: FakeEngine) -> None:
    at = opened()
    rows = [f"a text {n},{('no', 'yes')[n % 2]},g{n // 2}" for n in range(8)]
    at.text_area(key="table_text").set_value("text,label,group\n" + "\n".join(rows))
    pick(at, "Use this table")
    asked = dict(engine.questions("depth")[-1].option("labelled"))
    assert asked["classes"] == ("no", "yes")
    assert asked["groups"] == ("g0", "g0", "g1", "g1", "g2", "g2", "g3", "g3")
    assert "8 texts in 4 groups: 4 no, 4 yes" in texts(at)


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("text,label\na,yes\nb,yes", "one class only"),
        ("words,label\na,yes\nb,no", "no column for the texts"),
        ('text,label\n"", yes\nb,no', "has no &#x27;text&#x27;"),
        ('{"text": "a"}', "no key for the labels"),
    ],
)
def test_a_bad_table_is_one_sentence_and_changes_nothing(table: str, says: str) -> None:
    at = opened()
    at.text_area(key="table_text").set_value(table)
    pick(at, "Use this table")
    assert any(says in note for note in notes(at))
    assert work(at).choice("labelled") == "gender carried"


def test_a_file_is_asked_about_as_it_is_now(engine: FakeEngine, tmp_path: Path) -> None:
    file = tmp_path / "own.jsonl"
    lines = [{"text": f"text {n}", "label": n % 3} for n in range(9)]
    file.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    opened(labelled=str(file))
    assert dict(engine.questions("depth")[-1].option("labelled"))["classes"] == ("0", "1", "2")
    file.write_text("\n".join(map(json.dumps, lines[:6] * 2)), encoding="utf-8")
    opened(labelled=str(file))
    assert len(dict(engine.questions("depth")[-1].option("labelled"))["texts"]) == 12


def test_a_missing_file_an_unknown_set_and_a_hosted_server_are_sentences(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert any("no file" in note for note in notes(opened(labelled="nowhere.csv")))
    assert any("no labelled set" in note for note in notes(opened(labelled="nonsense")))
    assert any("in another tab" in note for note in notes(opened(labelled="pasted")))
    (tmp_path / "a.csv").write_text("text,label\na,x\nb,y\nc,x\nd,y\n", encoding="utf-8")
    monkeypatch.setenv("EIDOSCOPE_HOSTED", "1")
    at = opened(labelled=str(tmp_path / "a.csv"))
    assert any("reads no files" in note for note in notes(at))
    assert engine.questions("depth") == []


def test_a_concept_is_asked_about_by_name(engine: FakeEngine) -> None:
    opened(labelled="concept", concept="sentiment")
    assert engine.questions("depth")[-1].option("concept") == "sentiment"


def test_two_models_are_asked_the_same_and_drawn_on_relative_depth(engine: FakeEngine) -> None:
    at = opened("embedded", "embedded-small")
    first, second = engine.questions("depth")
    assert first.options == second.options
    assert {first.model, second.model} == {ModelRef("embedded"), ModelRef("embedded-small")}
    spec = json.loads(at.get("plotly_chart")[0].proto.spec)
    assert spec["layout"]["xaxis"]["range"] == [-0.02, 1.02]
    assert [t["name"] for t in spec["data"] if t.get("name", "").startswith("embedded")] == [
        "embedded", "embedded-small"
    ]  # fmt: skip
    assert "embedded-small: Readable from layer 3" in texts(at)


def test_several_sets_stand_in_the_order_they_become_readable(engine: FakeEngine) -> None:
    at = opened(depths="many")
    assert len(engine.questions("depth")) == 6
    table = at.dataframe[0].value
    assert list(table["texts"]) == [
        "animals", "gender carried", "review", "sums above ten", "truth of sums", "random labels"
    ]  # fmt: skip
    assert list(table["verdict"])[::5] == ["from the embedding on", "not readable"]


def test_a_set_that_was_cancelled_is_asked_for_again(engine: FakeEngine) -> None:
    engine.gate.clear()
    state = Workspace().with_choice("depths", "many")
    at = AppTest.from_file(str(fake.ROOT / "app.py"), default_timeout=30)
    at.switch_page(str(fake.ROOT / "pages/depth.py"))
    for name, value in to_query(state).items():
        at.query_params[name] = value
    at.run()
    assert "working · 0 of 6 sets done" in texts(at)
    jobs.cancel_all()
    settled(at)
    engine.gate.set()
    at.button(key="depth_many_again").click()
    settled(at)
    assert len(at.dataframe[0].value) == 6


def test_every_small_curve_has_the_traces_by_which_a_click_finds_it() -> None:
    named = [(f"set {n}", depth(onset=n, name=f"set {n}")) for n in range(5)]
    data = depth_many.multiples(named, Look()).data
    found = [data[n * depth_many.TRACES + depth_many.TRACES - 1].name for n in range(5)]
    assert len(data) == 5 * depth_many.TRACES
    assert found == [name for name, _ in named]
    both = depth_many.overlay(named[:2], Look()).data
    assert [both[n * depth_many.TRACES - 1].name for n in (1, 2)] == ["set 0", "set 1"]


def test_hostile_names_and_texts_are_shown_as_they_are(engine: FakeEngine) -> None:
    engine.hostile = True
    for models in (("embedded",), ("embedded", "embedded-small")):
        said = texts(opened(*models))
        assert "<script>" not in said
        assert "<img src=x" not in said
