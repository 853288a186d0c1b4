"""Heads and sites, training, minimal pairs, other meanings and many models on the Depth page."""

import json
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.queue import Progress
from core.results.base import Result
from core.results.depth_curves import DepthCurves
from core.spec.interventions import Ablate
from core.spec.request import ModelRef, Request
from core.spec.site import Site
from core.spec.workspace import Selection, Workspace
from pages.shared import export
from pages.shared.sections import depth_many
from tests.pages import depth_place_samples as samples
from tests.pages import fake
from tests.pages.depth_samples import depth, lens_depth, probe_family, transfer
from tests.pages.fake import FakeEngine, field, notes, query, settled, texts, visit, work
from tests.pages.samples import HOSTILE

KEYS = {"sites": "sites", "training": "training", "pairs": "pairs", "meaning": "meaning"}


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    made = fake.install(monkeypatch)
    before = made.answer

    def answer(request: Request, progress: Progress) -> Result:
        bad = HOSTILE[2] if made.hostile else ""
        sizes: Any = request.option("sizes", ())
        sets: Any = request.option("sets", ())
        name: Any = request.option("labelled")
        answers = {
            "probe_sites": lambda: samples.probe_sites(bad or "gender carried", bad or "female"),
            "minimal_pairs": lambda: samples.minimal_pairs(bad or "agreement", bad or "dogs"),
            "meaning_control": lambda: samples.meaning_control(bad or "months"),
            "depth_emergence": lambda: samples.depth_emergence(
                bad or "gender carried", (bad or request.model.name, *sizes)
            ),
            "depth": lambda: depth(name=name if isinstance(name, str) else "own"),
            "probe_family": probe_family,
            "transfer": lambda: transfer(tuple(sets)),
            "lens_depth": lambda: lens_depth(str(request.option("task"))),
        }
        if request.analysis not in answers:
            return before(request, progress)
        made.asked.append(request)
        return answers[request.analysis]()

    monkeypatch.setattr(made, "answer", answer)
    return made


def opened(*models: str, selection: Selection | None = None, **choices: str) -> AppTest:
    state = Workspace(
        models=tuple(map(ModelRef, models)) or Workspace().models,
        selection=selection or Selection(),
    )
    for name, value in choices.items():
        state = state.with_choice(name, value)
    return visit("depth", query(state))


def begin(at: AppTest, key: str) -> AppTest:
    at.button(key=f"{key}_begin").click()
    return settled(at)


def charts(at: AppTest) -> list[dict[str, Any]]:
    return [json.loads(one.proto.spec) for one in at.get("plotly_chart")]


def test_heads_and_sites_wait_for_the_button_and_say_what_is_beyond_chance(
    engine: FakeEngine,
) -> None:
    at = opened(depths="sites")
    assert engine.questions("probe_sites") == []
    begin(at, "sites")
    (request,) = engine.questions("probe_sites")
    assert dict(request.options) == {"labelled": "gender carried", "position": "last", "seed": 0}
    said = texts(at)
    assert "best head L1.head[2], AUC 0.95; 1 of 6 heads beyond the best of chance" in said
    assert "under 40 shuffles of the labels" in said


def test_a_selected_head_goes_into_the_clamps(engine: FakeEngine) -> None:
    at = opened(depths="sites", selection=Selection(layer=1, head=2))
    begin(at, "sites")
    assert "L1.head[2]: AUC 0.950, beyond the best of chance" in texts(at)
    at.button(key="sites_ablate").click()
    settled(at)
    assert work(at).active() == (Ablate(Site(1, "head", 2), "mean"),)


def test_fresh_weights_are_asked_for_by_the_same_switch(engine: FakeEngine) -> None:
    for view, name in (("sites", "probe_sites"), ("pairs", "minimal_pairs"),
                       ("meaning", "meaning_control")):  # fmt: skip
        begin(opened(depths=view, fresh="yes"), KEYS[view])
        assert engine.questions(name)[-1].option("untrained") is True


def test_further_models_are_further_sizes(engine: FakeEngine) -> None:
    at = begin(opened("embedded-small", "embedded", depths="training"), "training")
    (request,) = engine.questions("depth_emergence")
    assert request.model == ModelRef("embedded-small")
    assert request.option("sizes") == ("embedded",)
    assert "at step-100" in texts(at)
    at = begin(opened(depths="training"), "training")
    assert engine.questions("depth_emergence")[-1].option("sizes") is None


def test_pairs_are_typed_and_asked_about(engine: FakeEngine) -> None:
    at = begin(opened(depths="pairs"), "pairs")
    assert engine.questions("minimal_pairs")[-1].option("pairs") == "agreement"
    assert "prefers the right text in 83 % of 12 pairs" in texts(at)
    at = opened(depths="pairs", drew="kinds")
    at.text_area(key="pairs_text").set_value("a b | a c")
    at.button[[b.label for b in at.button].index("Use these pairs")].click()
    settled(at)
    assert any("give 4 to" in note for note in notes(at))
    at.text_area(key="pairs_text").set_value("\n".join(f"a {n} b | a {n} c" for n in range(5)))
    at.button[[b.label for b in at.button].index("Use these pairs")].click()
    settled(at)
    assert work(at).choice("drew") == "own"
    begin(at, "pairs")
    last = engine.questions("minimal_pairs")[-1]
    assert last.option("good") == tuple(f"a {n} b" for n in range(5))
    assert last.option("pairs") is None


def test_what_is_read_and_not_preferred_is_listed(engine: FakeEngine) -> None:
    at = begin(opened(depths="pairs", viewed="pairs"), "pairs")
    assert "Read, but not preferred: 2 pairs" in texts(at)


def test_typed_pairs_of_another_tab_are_a_sentence(engine: FakeEngine) -> None:
    at = opened(depths="pairs", drew="own")
    assert any("left in another tab" in note for note in notes(at))
    assert work(at).choice("drew") == "own"
    assert [one for one in at.button if one.key == "pairs_begin"] == []


def test_other_meanings_say_whether_the_states_hold_it(engine: FakeEngine) -> None:
    at = begin(opened(depths="meaning", meant="sums"), "meaning")
    assert engine.questions("meaning_control")[-1].option("case") == "sums"
    assert "the states hold the meaning" in texts(at)


@pytest.mark.parametrize(
    ("view", "key", "analysis"),
    [
        ("probes", "family", "probe_family"),
        ("transfer", "transfer", "transfer"),
        ("lens", "", "lens_depth"),
        ("sites", "sites", "probe_sites"),
        ("pairs", "pairs", "minimal_pairs"),
        ("meaning", "meaning", "meaning_control"),
    ],
)
def test_every_view_stands_beside_itself_for_a_second_model(
    engine: FakeEngine, view: str, key: str, analysis: str
) -> None:
    at = opened("embedded", "embedded-small", depths=view)
    if key:
        begin(at, key)  # one button begins both
    asked = {request.model.name for request in engine.questions(analysis)}
    assert asked == {"embedded", "embedded-small"}
    assert len(charts(at)) == 2
    assert "A · embedded" in texts(at)
    assert "B · embedded-small" in texts(at)


def test_three_models_stand_in_one_figure_with_a_table(engine: FakeEngine) -> None:
    at = opened("embedded", "embedded-small", "embedded-tuned", labelled="animals")
    assert len(engine.questions("depth")) == 3
    chart = charts(at)[0]
    names = {trace.get("name") for trace in chart["data"]}
    assert {"embedded", "embedded-small", "embedded-tuned"} <= names
    (table,) = [one.value for one in at.dataframe if "depth" in one.value][:1]
    assert table["model"].tolist() == ["embedded", "embedded-small", "embedded-tuned"]
    assert table["depth"].tolist() == ["0.38"] * 3


def test_many_sets_of_two_models_are_drawn_in_the_same_cells_and_exported(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[DepthCurves] = []
    monkeypatch.setattr(depth_many, "export_row", lambda found, **_: kept.append(found))
    at = opened("embedded", "embedded-small", depths="many")
    (chart,) = charts(at)
    assert len(chart["data"]) == 6 * 6 + 6
    curves = kept[-1]
    assert len(curves.sets) == 12
    assert set(curves.models) == {"embedded", "embedded-small"}
    rows = export.csv(curves).decode().splitlines()
    assert len(rows) == 1 + 12 * 9
    assert '"analysis": "depth_curves"' in export.as_json(curves).decode()


def test_the_nine_sets_are_read_from_a_folder_and_the_missing_are_said(
    engine: FakeEngine, tmp_path: Path
) -> None:
    rows = [f"film {i},{('negative', 'positive')[i % 2]}" for i in range(8)]
    (tmp_path / "imdb.csv").write_text("\n".join(["review,sentiment", *rows]))
    at = opened(depths="many", gathered="paper", nine=str(tmp_path))
    assert len(engine.questions("depth")) == 5
    given = [dict(one.option("labelled")) for one in engine.questions("depth")]
    assert [one["name"] for one in given] == [
        "Cities", "Counterfact", "IMDb", "StrategyQA", "Coinflip"
    ]  # fmt: skip
    assert given[2]["texts"][1] == "film 1"
    assert "Not there: CommonClaim, STSA, Sarcasm, HateEval" in texts(at)
    (chart,) = charts(at)
    assert "IMDb (emotional)" in json.dumps(chart)
    field(at, "nine").set_value("/no/such/folder")
    settled(at)
    assert any("no folder" in note for note in notes(at))


@pytest.mark.parametrize("view", ["sites", "training", "pairs", "meaning"])
@pytest.mark.parametrize("viewed", ["", "ranked", "sizes", "pairs", "kinds"])
def test_hostile_names_are_shown_as_they_are(engine: FakeEngine, view: str, viewed: str) -> None:
    engine.hostile = True
    at = begin(opened(depths=view, viewed=viewed), KEYS[view])
    assert "<script>" not in texts(at)
    assert "<img src=x" not in json.dumps(charts(at))
