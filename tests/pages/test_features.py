"""The page Features on made-up answers: choosing, walking, naming, adding, and what is refused."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core import answers
from core.results.add_dictionary import AddDictionary
from core.results.base import Result
from core.results.name_feature import NameFeature
from core.spec.errors import Error
from core.spec.interventions import Clamp
from core.spec.request import Request
from core.spec.site import site
from core.spec.workspace import Selection, TrayItem, Workspace
from tests.pages import fake, feature_samples
from tests.pages.fake import FakeEngine, address, field, notes, query, settled, texts, work
from tests.pages.samples import HOSTILE, VOCAB


class Features(FakeEngine):
    """Knows dictionaries too; what was named and added stays."""

    def __init__(self) -> None:
        super().__init__()
        self.names: tuple[str, ...] = ("one", "two")
        self.labels: dict[int, str] = {}
        self.ruled = ""
        self.better = -1

    def _made_up(self, request: Request) -> Result:
        words = HOSTILE[:12] if self.hostile else VOCAB
        feature = int(request.option("feature", 0) or 0)
        label = self.labels.get(feature, self.ruled)
        by = "yours" if feature in self.labels else ""
        make: dict[str, Callable[[], Result]] = {
            "dictionaries": lambda: feature_samples.dictionaries(self.names),
            "feature_list": lambda: feature_samples.feature_list(
                int(request.option("offset", 0)), words=words,
                label=next(iter(self.labels.values()), self.ruled),
                by="yours" if self.labels else "",
            ),
            "feature_card": lambda: feature_samples.feature_card(
                feature, words=words, label=label, by=by, fires=feature != 7
            ),
            "feature_lens": lambda: feature_samples.feature_lens(feature, words),
            "gallery": feature_samples.gallery,
            "dictionary_check": lambda: feature_samples.dictionary_check(self.better),
            "feature_label": self._rules,
            "name_feature": lambda: self._named(feature, str(request.option("label"))),
            "add_dictionary": lambda: self._added(request),
        }  # fmt: skip
        if request.analysis in make:
            return make[request.analysis]()
        return super()._made_up(request)

    def _rules(self) -> Result:
        self.ruled = "token in {“ Two”}"
        return feature_samples.feature_label()

    def _named(self, feature: int, label: str) -> Result:
        self.labels[feature] = label
        return NameFeature({}, "one", feature, f"L2.resid_post.feature[one:{feature}]", label)

    def _added(self, request: Request) -> Result:
        name = str(request.option("name"))
        if name in self.names:
            raise Error(f"this model has a dictionary {name!r} already; take another name")
        self.names = (*self.names, name)
        return AddDictionary({}, name, "L2.resid_post", "L2.resid_post", "SAELens", 2_048, ())

    def stamp(self, model: Any) -> str:
        return f"{self.names}{self.labels}{self.ruled}"  # as the files change


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Features:
    fake.install(monkeypatch)
    found = Features()
    monkeypatch.setattr(answers, "backend", lambda: found)
    return found


def opened(feature: int | None = None, tray: tuple[TrayItem, ...] = (), **choices: str) -> AppTest:
    state = Workspace(selection=Selection(feature=feature), tray=tray)
    for name, value in choices.items():
        state = state.with_choice(name, value)
    return fake.visit("features", query(state))


def sent(at: AppTest, key: str) -> dict[str, Any]:
    """What a component was given."""
    (found,) = [one.proto for one in at.get("bidi_component") if f"-{key}" in one.proto.id]
    data: dict[str, Any] = json.loads(found.json)
    return data


def asked(engine: Features, analysis: str) -> list[dict[str, Any]]:
    return [dict(request.options) for request in engine.questions(analysis)]


def press(at: AppTest, key: str) -> AppTest:
    at.button(key=key).click()
    return settled(at)


def test_at_first_there_is_a_wall_and_a_sentence_beside_it(engine: Features) -> None:
    at = opened()
    wall = sent(at, "wall_cards")
    assert (wall["total"], wall["first"], len(wall["cards"])) == (2_048, 0, 96)
    assert "Choose a feature" in notes(at)[0]
    assert engine.questions("feature_card") == []


def test_a_link_opens_the_feature_with_its_texts_and_its_question(engine: Features) -> None:
    at = opened(12, dictionary="two", asks="writes", which="rare", sorted="density")
    assert "L2.resid_post.feature[two:12]" in texts(at)
    assert "fires on <b>0.140%" in texts(at)
    assert asked(engine, "feature_card")[0]["feature"] == 12
    (listed,) = asked(engine, "feature_list")
    assert (listed["dictionary"], listed["sort"], listed["badges"]) == ("two", "density", ("rare",))
    assert address(at) == {
        "dictionary": "two", "feature": "12", "which": "rare", "sorted": "density",
        "seen": "tokens",
    }  # fmt: skip


def test_the_keys_n_and_p_walk_round_the_whole_dictionary(engine: Features) -> None:
    at = opened(0)
    assert work(press(at, "card_p")).selection.feature == 2_047
    assert work(press(at, "card_n")).selection.feature == 0
    keys = {one.proto.label: one.proto.shortcut for one in at.button if one.proto.shortcut}
    assert {keys["‹"], keys["›"], keys["+ clamp"]} == {"p", "n", "k"}


def test_a_clamp_of_a_feature_is_set_to_the_largest_value_seen(engine: Features) -> None:
    at = press(opened(12), "card_clamp")
    (item,) = work(at).tray
    assert item == TrayItem(Clamp(site("L2.resid_post.feature[one:12]"), fake.UNIT), unit=fake.UNIT)
    assert at.button(key="card_clamp").disabled


def test_texts_are_read_without_the_clamps_until_a_person_says_so(engine: Features) -> None:
    tray = (TrayItem(Clamp(site("L2.resid_post.feature[one:12]"), 9.0)),)
    at = opened(12, tray)
    assert all(not one.interventions for one in engine.questions("feature_list"))
    field(at, "choice_under").set_value("clamped")
    settled(at)
    assert engine.questions("feature_list")[-1].interventions == (tray[0].change,)
    assert engine.questions("feature_card")[-1].interventions == (tray[0].change,)


def test_another_dictionary_has_other_features(engine: Features) -> None:
    at = opened(12)
    field(at, "choice_dictionary").set_value("two")
    settled(at)
    assert work(at).choice("dictionary") == "two"
    assert work(at).selection.feature is None


def test_a_number_beyond_the_dictionary_is_one_sentence(engine: Features) -> None:
    at = opened(99_999)
    assert "one has features 0 to 2,047 and no 99,999" in notes(at)[0]
    assert engine.questions("feature_card") == []
    assert sent(at, "wall_cards")["picked"] == 99_999


def test_a_feature_that_never_fires_says_so_and_has_no_texts(engine: Features) -> None:
    at = opened(7)
    assert "never fires on this text" in texts(at)
    assert not [one for one in at.get("bidi_component") if "card_contexts" in one.proto.id]


def test_pasted_text_of_another_tab_is_asked_for_again(engine: Features) -> None:
    at = opened(3, corpus="pasted")
    assert any("paste it again" in note for note in notes(at))
    assert engine.questions("feature_list") == []


def test_ones_own_label_stands_on_card_and_wall(engine: Features) -> None:
    at = opened(3)
    at.text_input(key="own_label").set_value("  <b>dogs</b> ")
    press(at, "FormSubmitter:naming_3-Keep")
    assert asked(engine, "name_feature") == [
        {"dictionary": "one", "feature": 3, "label": "<b>dogs</b>"}
    ]
    assert "&lt;b&gt;dogs&lt;/b&gt; <span class=eido-quiet>yours</span>" in texts(at)
    card = sent(at, "wall_cards")["cards"][3]
    assert (card["label"], card["score"]) == ("<b>dogs</b>", "yours")


def test_rules_for_all_are_looked_for_once_and_shown_on_the_wall(engine: Features) -> None:
    at = opened()
    assert sent(at, "wall_cards")["cards"][0]["label"] == ""
    press(at, "find_rules")
    (options,) = asked(engine, "feature_label")
    assert "feature" not in options
    assert "token in" in sent(at, "wall_cards")["cards"][0]["score"]  # F1 0.2: no label
    settled(at)
    assert len(engine.questions("feature_label")) == 1


def test_a_dictionary_is_added_by_its_path_and_then_the_chosen_one(engine: Features) -> None:
    at = opened(3)
    at.text_input(key="add_path").set_value(" /data/sae ")
    at.text_input(key="add_name").set_value("mine")
    press(at, "FormSubmitter:add_book_form-Add")
    assert asked(engine, "add_dictionary") == [{"path": "/data/sae", "name": "mine"}]
    assert work(at).choice("dictionary") == "mine"
    assert work(at).selection.feature is None
    assert field(at, "choice_dictionary").options == ["one", "two", "mine"]


def test_a_name_that_is_taken_and_a_missing_path_are_sentences(engine: Features) -> None:
    at = opened()
    press(at, "FormSubmitter:add_book_form-Add")
    assert any("write the path" in note for note in notes(at))
    at.text_input(key="add_path").set_value("/data/sae")
    at.text_input(key="add_name").set_value("two")
    press(at, "FormSubmitter:add_book_form-Add")
    assert any("take another name" in note for note in notes(at))
    assert sent(at, "wall_cards")["total"] == 2_048  # the rest of the page stays


def test_the_better_reading_is_one_click_away_under_a_free_name(engine: Features) -> None:
    engine.better, engine.names = 2, ("one", "one-2")
    at = opened(features="book", study="dictionary_check")
    assert sum("fits better" in note for note in notes(at)) == 1
    press(at, "read_so")
    assert asked(engine, "add_dictionary") == [
        {"again": "one", "name": "one-3", "norm": "layernorm"}
    ]
    assert work(at).choice("dictionary") == "one-3"


def test_a_reading_that_fits_offers_nothing(engine: Features) -> None:
    at = opened(features="book", study="dictionary_check")
    assert not [one for one in at.button if one.key == "read_so"]


@pytest.mark.parametrize("way", ["mean", "max", "raw"])
def test_the_scatter_is_drawn_in_every_way(engine: Features, way: str) -> None:
    at = opened(features="scatter", drawn=way)
    (chart,) = [one for one in at.get("plotly_chart") if "scatter_chart" in one.proto.id]
    axis = json.loads(chart.proto.spec)["layout"]["yaxis"]["title"]["text"]
    assert ("the dictionary's units" in axis) == (way == "raw")
    assert ("largest" in axis) == (way == "max")


def test_a_server_for_visitors_offers_no_paths_no_labels_and_no_training(
    engine: Features, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EIDOSCOPE_HOSTED", "1")
    at = opened(3, named="dogs", asks="rule")
    keys = {one.key for one in (*at.text_input, *at.button)}
    assert not keys & {"add_path", "own_label", "keep_named", "read_so"}
    engine.better = 2
    at = opened(features="book", study="dictionary_check")
    assert "read_so" not in {one.key for one in at.button}
    at = opened(features="train")
    assert "keeps no dictionaries of its visitors" in notes(at)[0]
    assert "training_site" not in {one.key for one in at.text_input}


@pytest.mark.parametrize(("hidden", "said"), [("training_name", "give the dictionary a name")])
def test_a_training_without_a_name_is_refused_before_it_begins(
    engine: Features, hidden: str, said: str
) -> None:
    at = opened(features="train")
    at.text_input(key=hidden).set_value(" ")
    press(at, "FormSubmitter:training-Train")
    assert any(said in note for note in notes(at))
    assert engine.questions("train_dictionary") == []


def test_a_site_that_is_none_is_refused_before_training_begins(engine: Features) -> None:
    at = opened(features="train")
    at.text_input(key="training_site").set_value("L2.head[1]")
    press(at, "FormSubmitter:training-Train")
    assert any("whole site" in note for note in notes(at))
    assert engine.questions("train_dictionary") == []


def test_without_a_dictionary_the_page_says_how_to_get_one(engine: Features) -> None:
    engine.names = ()
    at = opened(3)
    assert "This model has no dictionary" in notes(at)[0]
    assert engine.questions("feature_list") == []


def test_hostile_tokens_and_labels_reach_the_browser_as_text(engine: Features) -> None:
    engine.hostile, engine.labels = True, {3: HOSTILE[1]}
    at = opened(3)
    said = texts(at)
    assert "<script>" not in said
    assert "<img" not in said
    wall = sent(at, "wall_cards")["cards"][0]
    assert wall["label"] == HOSTILE[1]  # written through textContent
    assert all(isinstance(token, str) for line, _ in wall["lines"] for token in line)
