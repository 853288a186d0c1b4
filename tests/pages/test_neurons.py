"""The page Neurons with the real engine: searching, choosing a neuron, and bad input."""

import re

import numpy as np
import pytest

from core.spec.interventions import Clamp
from core.spec.links import to_query
from core.spec.request import ModelRef
from core.spec.site import site
from core.spec.workspace import Selection, TrayItem, Workspace
from pages.shared.sections.finding import COLOURS
from tests.pages import fake
from tests.pages.fake import address, field, notes, query, texts, work
from tests.pages.neuron_page import (
    PATIENCE,
    SMALL,
    STORIES,
    built,
    card,
    charts,
    choose,
    click_row,
    faults,
    opened,
    press,
    table,
)

pytestmark = [built, pytest.mark.usefixtures("kept_answers")]


# --- what is there at once -----------------------------------------------------------------


@pytest.mark.parametrize("model", [SMALL, STORIES])
def test_at_first_the_clearest_neuron_of_all_has_its_card_its_prompt_and_its_texts(model):
    at = opened(model, about="neuron", corpus="reference")
    assert notes(at) == []
    assert charts(at) == {"neuron_map", "texts"}
    listed = table(at, "map_table")
    assert card(at) == listed["neuron"][0]
    assert listed["z"].abs().is_monotonic_decreasing
    said = texts(at)
    assert "writes" in said
    assert "Writes most alike" in said
    assert f"{card(at)} on the prompt" in said
    assert re.search(r"Fires on [\d.]+% of the tokens", said)
    assert ("opens for <span" in said) == (model == STORIES)


@pytest.mark.parametrize("colour", list(COLOURS))
def test_the_colour_orders_the_table(colour):
    at = opened(map=colour)
    assert faults(at) == []
    values = table(at, "map_table").iloc[:, 1]
    assert values.abs().is_monotonic_decreasing
    assert values.notna().all()


# --- search --------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [SMALL, STORIES])
@pytest.mark.parametrize(
    "find", ["dog", "cat, dog", "/day$/i", '" dog"', "concept:day", "/(a+)+$/"]
)
@pytest.mark.parametrize("by", ["out", "in"])
def test_a_search_lists_the_best_first_and_opens_its_card(model, find, by):
    at = opened(model, find=find, by=by)
    assert notes(at) == [] or "Choose model B" in notes(at)[0]
    found = table(at, "hits_table")
    assert len(found) == 200
    assert found["score"].abs().is_monotonic_decreasing
    assert card(at) == found["neuron"][0]
    assert "random tokens reach" in texts(at)


def test_which_neurons_open_their_gate_for_a_word_is_asked_of_gated_models():
    at = opened(STORIES, find="dog", by="gate")
    assert faults(at) == []
    assert card(at) == table(at, "hits_table")["neuron"][0]


def test_a_model_without_gates_is_not_asked_for_them():
    at = opened(SMALL, find="dog", by="gate")
    assert faults(at) == []
    assert field(at, "choice_by").options == ["write", "read", "fire on"]
    assert work(at).choice("by") == "out"


def test_a_word_of_several_tokens_says_how_it_is_read():
    assert "“rhinoceros” is no token of its own: mean over its pieces" in texts(
        opened(STORIES, find="rhinoceros")
    )


@pytest.mark.parametrize(
    ("model", "find"),
    [
        (SMALL, "dog"),
        (SMALL, "/ (dog|cat) /"),
        (SMALL, "concept:day"),
        (STORIES, "dog cat"),
        (STORIES, "concept:day"),
        (STORIES, "label:day"),
    ],
)
def test_neurons_that_fire_on_words_a_pattern_a_concept_or_a_label(model, find, week):
    at = opened(model, find=find, by="fires", corpus=week)
    assert faults(at) == []
    found = table(at, "fires_table")
    assert set(found) >= {"F1", "precision", "recall", "AUC", "fires", "writes"}
    assert card(at) == found["neuron"][0]
    assert "rotated marks reach" in texts(at)


@pytest.mark.parametrize(
    ("by", "find", "said"),
    [
        ("out", "concept:nothing", "no concept"),
        ("out", "concept:", "no concept"),
        ("out", "/(/", "does not compile"),
        ("out", "/(?=a)b/", "does not compile"),
        ("out", "//", "the pattern is empty"),
        ("out", f"/{'a' * 201}/", "at most 200"),
        ("out", "/zzqq/", "no token"),
        ("out", '"dog', "quotation mark"),
        ("out", " , ;", "the search is empty"),
        ("out", " ".join(f"w{n}" for n in range(101)), "at most 100"),
        ("out", "label:day", "choose “fire on”"),
        ("fires", "/(/", "does not compile"),
        ("fires", "/(a)(b)/", "2 groups"),
        ("fires", "zebra", "the word zebra is nowhere"),
        ("fires", "label:nothing", "no label"),
        ("fires", "concept:nothing", "no concept"),
    ],
)
def test_what_cannot_be_searched_for_is_one_sentence_and_the_rest_of_the_page_stays(by, find, said):
    at = opened(find=find, by=by)
    (fault,) = faults(at)
    assert said in fault
    assert "(id " not in fault
    assert "Writes most alike" in texts(at)
    assert len(table(at, "map_table")) == 1_000
    assert field(at, "find").value == find


def test_a_pattern_that_would_take_for_ever_elsewhere_is_answered():
    at = opened(find="/(x+x+)+y(a|a)*$/")
    assert len(faults(at)) <= 1
    assert not at.exception


def test_a_search_too_long_for_a_link_changes_nothing_and_is_one_sentence():
    at = choose(opened(), "find", "x" * 600)
    assert work(at).choice("find") == ""
    assert "at most 500" in " ".join(notes(at))


# --- choosing a neuron ---------------------------------------------------------------------


def test_a_row_of_a_table_opens_its_neuron_everywhere():
    at = opened()
    chosen = table(at, "map_table")["neuron"][3]
    at = click_row(at, "map_table", 3)
    assert card(at) == chosen
    assert f"{chosen} on the prompt" in texts(at)
    assert address(at)["neuron"] == chosen.partition("[")[2].rstrip("]")


def test_previous_and_next_walk_round_the_layer_and_a_near_one_is_opened():
    at = press(opened(selection=Selection(layer=1, neuron=0)), "card_p")
    assert re.fullmatch(r"L1\.neuron\[[1-9]\d+\]", card(at))
    at = press(at, "card_n")
    assert card(at) == "L1.neuron[0]"
    near = at.button(key="near_0").label.replace("\\", "").split()[0]
    assert card(press(at, "near_0")) == near


def test_a_neuron_this_model_has_not_is_said_and_another_one_is_shown():
    for selection in (Selection(layer=99, neuron=0), Selection(layer=1, neuron=10**6)):
        at = opened(selection=selection)
        (note,) = [note for note in notes(at) if "eido-warning" in note]
        assert f"There is no L{selection.layer}.neuron[{selection.neuron}]" in note
        assert card(at) == table(at, "map_table")["neuron"][0]


def test_a_clamp_goes_into_the_tray_at_the_largest_value_and_the_numbers_follow():
    at = opened(selection=Selection(layer=1, neuron=3), map="activation")
    before = table(at, "map_table")
    assert "without the clamps" not in texts(at)
    at = press(at, "card_clamp")
    (item,) = work(at).tray
    assert item.change.site == site("L1.neuron[3]")
    assert item.change.value == pytest.approx(item.unit)
    assert at.button(key="card_clamp").disabled
    assert "without the clamps" in texts(at)
    after = table(at, "map_table")
    value = after.loc[after["neuron"] == "L1.neuron[3]", "here"].item()
    assert value == pytest.approx(item.change.value, rel=1e-4)
    assert not before.equals(after)
    at = press(at, "tray_undo")
    assert table(at, "map_table").equals(before)


def test_a_link_with_every_choice_opens_the_same_state_again():
    state = Workspace(
        (ModelRef(STORIES),),
        "Once upon a time there was a dog",
        Selection(token=3, layer=2, head=1, neuron=17),
        (TrayItem(Clamp(site("L2.neuron[17]"), 3.5), unit=1.5),),
    )
    for name, value in {
        "find": "concept:animal", "by": "gate", "map": "direct", "about": "causes",
        "corpus": "reference", "texts": "bottom", "kind": "add", "part": "gate",
        "where": "prompt", "times": "2.5",
    }.items():  # fmt: skip
        state = state.with_choice(name, value)
    at = fake.visit("neurons", query(state), seconds=PATIENCE)
    assert work(at) == state
    assert address(at) == to_query(state)
    assert card(at) == "L2.neuron[17]"
    assert field(at, "find").value == "concept:animal"
    assert field(at, "choice_by").value == "gate"
    assert field(at, "choice_about").value == "causes"


def test_the_numbers_of_a_neuron_are_those_of_the_answers():
    at = opened(selection=Selection(layer=2, neuron=9), map="size")
    listed = table(at, "map_table")
    row = listed[listed["neuron"] == "L2.neuron[9]"]
    if len(row):  # the table ends after its first thousand
        adds = re.search(r"adds <b>([\d.e−]+)</b> stream units", texts(at))
        assert float(adds[1].replace("−", "-")) == pytest.approx(row["size"].item(), rel=5e-3)
    assert np.isfinite(listed["size"]).all()
