"""Models beside each other on Heads, Neurons, Features, Directions, with the real engine."""

import re
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.home import EMBEDDED
from core.spec.interventions import Ablate, Add, Clamp
from core.spec.request import ModelRef
from core.spec.site import site
from core.spec.workspace import Selection, TrayItem, Workspace
from pages.shared.sections import feature_ways, head_more, neuron_more
from tests import tiny
from tests.pages import fake
from tests.pages.fake import field, notes, query, texts, work
from tests.pages.neuron_page import charts, click_row

SMALL = "embedded-small"
EARLIER = str(EMBEDDED / SMALL / "checkpoints" / "step-006000")
STORIES = str(Path(__file__).resolve().parents[1] / "data" / "models" / "stories260k")
PATIENCE = 200.0  # seconds; a busy machine is slow, not wrong
pytestmark = [
    pytest.mark.usefixtures("kept_answers"),
    pytest.mark.skipif(
        not (EMBEDDED / SMALL / "config.json").exists(), reason=f"assets/models/{SMALL} is missing"
    ),
]


def opened(
    page: str,
    *models: str,
    prompt: str = "The cat sat. The cat",
    at: Selection | None = None,
    tray: tuple[TrayItem, ...] = (),
    **choices: str,
) -> AppTest:
    start = Workspace(tuple(map(ModelRef, models)), prompt, at or Selection(), tray)
    for key, value in choices.items():
        start = start.with_choice(key, value)
    return fake.visit(page, query(start), seconds=PATIENCE)


def sound(at: AppTest) -> str:
    """The page's words; nothing on it may have gone wrong."""
    said = texts(at) + " ".join(notes(at))
    assert "Something went wrong" not in said
    return said


def cards(at: AppTest) -> list[str]:
    """The sites in the heads of the cards, A's first."""
    return re.findall(r"<b>((?:enc\.)?L\d+\.(?:head|neuron)\[\d+\])</b>", texts(at))


# --- one shape -----------------------------------------------------------------------------


def test_two_checkpoints_have_the_same_heads_beside_each_other_and_their_difference() -> None:
    at = opened("heads", SMALL, EARLIER, at=Selection(layer=2, head=1))
    said = sound(at)
    assert cards(at) == ["L2.head[1]"] * 2
    assert {"head_map", "head_map_chart_on_B"} <= charts(at)
    assert "What heads look at: B embedded-small step-006000 minus A" in said
    assert "likeness 0." not in said
    assert len(at.dataframe) == 2
    for once in ("choice_heads", "choice_looked", "choice_scored"):
        field(at, once)  # exactly one widget
    assert [button.key for button in at.button].count("head_clamp") == 1


def test_without_a_selection_every_column_shows_the_head_that_stands_out_in_a() -> None:
    one, other = cards(opened("heads", SMALL, EARLIER))[:2]
    assert one == other


def test_a_row_of_a_neurons_table_in_b_selects_the_same_neuron_in_a() -> None:
    at = opened("neurons", SMALL, EARLIER, about="models")
    assert "Neurons by their weights: B embedded-small step-006000 minus A" in sound(at)
    (frame,) = [frame for frame in at.dataframe if frame.key == "map_table_on_B"]
    names = frame.value["neuron"]
    at = click_row(at, "map_table_on_B", 2)
    place = site(names[2])
    chosen = work(at).selection
    assert (chosen.layer, chosen.neuron) == (place.layer, place.unit)
    assert len(work(at).models) == 2
    assert cards(at)[:2] == [names[2]] * 2


def test_the_same_model_twice_is_said_to_be_the_same() -> None:
    at = opened("heads", SMALL, SMALL)
    assert "The same model stands in two columns" in sound(at)
    assert "0 cells of" in texts(at)


# --- another shape -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pairs(engine_home: Path) -> dict[str, tuple[str, str]]:
    """A head with a counterpart beyond chance, and one without, by the analysis itself."""
    from core import api

    found = api.run("match", api.load(SMALL), other=STORIES, unit="head")
    beyond = found.likeness > found.control.clip(found.threshold)
    matched = next(int(u) for u in found.listed if found.matched[u])
    none = int((~beyond).nonzero()[0][0])
    return {
        "matched": (found.site(matched), found.site(int(found.partner[matched]), there=True)),
        "none": (found.site(none), ""),
    }


def test_a_head_has_its_counterpart_selected_with_likeness_and_chance(
    pairs: dict[str, tuple[str, str]],
) -> None:
    here, there = pairs["matched"]
    place = site(here)
    at = opened("heads", SMALL, STORIES, at=Selection(layer=place.layer, head=place.unit))
    said = sound(at)
    assert cards(at) == [here, there]
    assert re.search(rf"{re.escape(there)} corresponds to {re.escape(here)} of A: likeness", said)
    assert "chance 0." in said
    assert "The models are of different shape" in said


def test_a_head_without_a_counterpart_is_said_to_have_none(
    pairs: dict[str, tuple[str, str]],
) -> None:
    place = site(pairs["none"][0])
    at = opened("heads", SMALL, STORIES, at=Selection(layer=place.layer, head=place.unit))
    assert f"Nothing here corresponds to {place} of A beyond chance" in sound(at)


def test_the_row_of_a_counterpart_in_b_selects_its_partner_in_a(
    pairs: dict[str, tuple[str, str]],
) -> None:
    here, there = pairs["matched"]
    at = opened("heads", SMALL, STORIES)
    (frame,) = [frame for frame in at.dataframe if frame.key == "head_table_on_B"]
    at = click_row(at, "head_table_on_B", list(frame.value["head"]).index(there))
    assert cards(at) == [here, there]
    chosen = work(at).selection
    assert f"L{chosen.layer}.head[{chosen.head}]" == here


def test_a_head_of_b_without_a_partner_is_shown_there_and_nothing_moves_in_a(
    pairs: dict[str, tuple[str, str]],
) -> None:
    here, _ = pairs["matched"]
    place = site(here)
    at = opened("heads", SMALL, STORIES, at=Selection(layer=place.layer, head=place.unit))
    (frame,) = [frame for frame in at.dataframe if frame.key == "head_table_on_B"]
    from core import api

    found = api.run("match", api.load(SMALL), other=STORIES, unit="head")
    taken = {found.site(int(found.partner[u]), there=True) for u in found.matched.nonzero()[0]}
    row, lone = next((n, name) for n, name in enumerate(frame.value["head"]) if name not in taken)
    at = click_row(at, "head_table_on_B", row)
    assert cards(at) == [here, lone]
    assert f"{lone} was chosen here; no unit of A is its counterpart" in texts(at)


def test_clamps_that_a_model_has_no_place_for_are_counted_in_its_column() -> None:
    tray = (
        TrayItem(Ablate(site("L5.head[0]"), "zero")),
        TrayItem(Add(site("L1.resid_post"), (0.1,) * 128, 1.0)),
        TrayItem(Clamp(site("L1.neuron[3]"), 1.0)),
    )
    said = sound(opened("heads", SMALL, STORIES, tray=tray))
    assert "1 of 3 clamps act here; left out: L5.head[0], L1.resid_post." in said
    assert said.count("clamps act here") == 1
    assert "Clamps act on units of the same number" in said


def test_features_of_a_model_without_a_dictionary_are_a_sentence_in_its_column() -> None:
    said = sound(opened("features", SMALL, STORIES))
    assert "This model has no dictionary, so it has no features to stand beside" in said
    assert "2,048 features" in said


def test_the_feature_of_one_dictionary_has_its_counterpart_in_the_same_of_another_model() -> None:
    at = opened("features", SMALL, SMALL, at=Selection(feature=7), asks="writes")
    said = sound(at)
    assert said.count("feature[topk-L2:7]</b>") >= 2
    assert "likeness 0." not in said  # one dictionary: the number is enough


def test_the_direction_of_a_concept_stands_beside_that_of_the_other_model() -> None:
    at = opened("directions", SMALL, STORIES, at=None)
    said = sound(at)
    assert {"direction", "direction_on_B"} <= charts(at)
    assert said.count("AUC") >= 2
    assert [button.key for button in at.button].count("tray_push") == 1


# --- other kinds, and what cannot be loaded ---------------------------------------------------


@pytest.mark.parametrize("kind", ["bert", "t5"])
@pytest.mark.parametrize("page", ["heads", "neurons", "steer", "features", "directions"])
def test_another_kind_of_model_beside_a_decoder_shows_what_it_has(
    page: str, kind: str, tmp_path: Path
) -> None:
    other = str(tiny.make(kind, tmp_path / kind))
    chosen = Selection(layer=1, head=1, neuron=3)
    at = opened(page, SMALL, other, prompt="the cat sat on the mat", at=chosen)
    said = sound(at)
    assert "eido-model-B" in said
    if page in ("heads", "neurons"):
        assert {name.removesuffix("_on_B") for name in charts(at) if name.endswith("_on_B")}
        assert re.search(r"likeness 0|cannot be matched", said)


@pytest.mark.parametrize("page", ["heads", "neurons", "features", "directions", "steer"])
def test_a_model_that_cannot_be_loaded_leaves_the_other_its_column(page: str) -> None:
    at = opened(page, SMALL, "/nowhere/at/all")
    said = sound(at)
    assert "there is no folder" in said
    assert at.get("plotly_chart") or at.get("bidi_component")
    assert "eido-model-A" in said


# --- every question of every page, twice on one page ------------------------------------------

ASKED = [
    *(("heads", "looked", name) for name in head_more.LOOKED),
    *(("neurons", "about", name) for name in neuron_more.ABOUT),
    *(("features", "features", name) for name in feature_ways.WAYS),
    *(("features", "asks", name) for name in feature_ways.ASKS),
    *(("directions", "further", name) for name in ("made", "guide", "remove", "erase", "files")),
    *(("steer", "panel", name) for name in ("neuron", "head")),
]


@pytest.mark.slow
@pytest.mark.parametrize(("page", "choice", "name"), ASKED)
def test_every_question_can_be_asked_of_two_models_at_once(
    page: str, choice: str, name: str, week: str
) -> None:
    given = {choice: name, "corpus": week, "method": "difference"}
    at = opened(page, SMALL, SMALL, at=Selection(1, 2, 1, 3, 7), **given)
    at = fake.settled(at, PATIENCE)
    for button in [one for one in at.button if one.key and one.key.endswith("_begin")][:1]:
        button.click()
        at = fake.settled(at, PATIENCE)
    assert "The same model stands in two columns" in sound(at)
