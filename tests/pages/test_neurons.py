"""The page Neurons with the real engine: what a person does there, and every kind of bad input."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import streamlit as st
from streamlit.proto.WidgetStates_pb2 import WidgetState
from streamlit.testing.v1 import AppTest

from core import answers
from core.home import EMBEDDED
from core.results.base import Result
from core.spec.interventions import Clamp
from core.spec.links import to_query
from core.spec.request import ModelRef, Request
from core.spec.site import site
from core.spec.workspace import Selection, TrayItem, Workspace
from pages.shared.sections.finding import COLOURS
from tests.pages import claim_samples, fake, neuron_samples, samples, text_samples
from tests.pages.fake import address, field, htmls, notes, query, settled, texts, work

SMALL = "embedded-small"  # no gate
STORIES = str(Path(__file__).resolve().parents[1] / "data" / "models" / "stories260k")  # gated
PATIENCE = 90.0  # seconds; a busy machine is slow, not wrong
SHORT = "The dog ran. The dog sat.\n\nA dog is a dog. The cat saw the dog."
pytestmark = pytest.mark.skipif(
    not (EMBEDDED / SMALL / "config.json").exists(), reason=f"assets/models/{SMALL} is not built"
)


@pytest.fixture(scope="module")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One store for the file: what one test has asked need not be computed for the next."""
    return tmp_path_factory.mktemp("neurons-home")


@pytest.fixture(autouse=True)
def own_visitor(own_home: None, shared_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EIDOSCOPE_HOME", str(shared_home))
    st.cache_resource.clear()  # every visitor of a test run has the same session id


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file of many documents in which days, dogs and cats are met."""
    days = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
    lines = [
        {"text": f"On {days[n % 7]} the {('dog', 'cat')[n % 2]} sat on the mat and ate."}
        for n in range(42)
    ]
    file = tmp_path_factory.mktemp("week") / "week.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return str(file)


def opened(
    model: str = SMALL,
    prompt: str = "The cat sat",
    selection: Selection = Selection(),  # noqa: B008  it is frozen
    tray: tuple[TrayItem, ...] = (),
    **choices: str,
) -> AppTest:
    """The page in this state. Without a choice the tab is open that asks nothing."""
    state = Workspace((ModelRef(model),), prompt, selection, tray)
    for name, value in ({"about": "models"} | choices).items():
        state = state.with_choice(name, value)
    return fake.visit("neurons", query(state), seconds=PATIENCE)


def faults(at: AppTest) -> list[str]:
    """The sentences about what is not possible; never one about a fault of the program."""
    found = [note for note in notes(at) if "eido-error" in note]
    assert "Something went wrong" not in " ".join(found)
    return found


def card(at: AppTest) -> str:
    """The site in the head of the card."""
    heads = [re.search(r"<b>((?:enc\.)?L\d+\.neuron\[\d+\])</b>", body) for body in htmls(at)]
    return next(head[1] for head in heads if head)


def table(at: AppTest, key: str) -> pd.DataFrame:
    (found,) = [frame for frame in at.dataframe if frame.key == key]
    return found.value


def charts(at: AppTest) -> set[str]:
    """The names of the figures on the page."""
    return {
        str(chart.proto.id).rpartition("-")[2].removesuffix("_chart")
        for chart in at.get("plotly_chart")
    }


def click_row(at: AppTest, key: str, row: int) -> AppTest:
    """Choose a row of a table, as the browser tells it."""
    (found,) = [frame for frame in at.dataframe if frame.key == key]
    states = at._tree.get_widget_states()
    selection = {"selection": {"rows": [row], "columns": [], "cells": []}}
    states.widgets.append(WidgetState(id=found.proto.id, string_value=json.dumps(selection)))
    return settled(at._run(states), PATIENCE)


def press(at: AppTest, key: str) -> AppTest:
    at.button(key=key).click()
    return settled(at, PATIENCE)


def choose(at: AppTest, key: str, value: object) -> AppTest:
    field(at, key).set_value(value)
    return settled(at, PATIENCE)


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
    assert ("opens for" in said) == (model == STORIES)


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


# --- more about it -------------------------------------------------------------------------


def test_a_neuron_without_a_gate_has_an_input_instead_of_a_plane():
    at = opened(SMALL, about="plane", corpus="reference")
    assert "Its input" in field(at, "choice_about").options
    assert f"Input of {card(at)}" in texts(at)
    assert "Gate and up" in field(opened(STORIES), "choice_about").options


@pytest.mark.parametrize("model", [SMALL, STORIES])
@pytest.mark.parametrize(
    ("about", "shown"),
    [
        ("causes", {"unit_dose", "effects"}),
        ("plane", {"plane"}),
        ("classes", {"classes", "classes_layer"}),
        ("explain", set()),
        ("concept", set()),
        ("groups", set()),
        ("models", set()),
    ],
)
def test_every_tab_shows_its_figures_or_says_what_to_do(model, about, shown):
    at = opened(model, about=about, corpus="reference")
    assert faults(at) == []
    assert charts(at) == {"neuron_map", *shown}
    assert shown or len(notes(at)) == 1


def test_the_layer_of_the_scatter_is_that_of_the_card():
    at = opened(about="classes", selection=Selection(layer=2, neuron=5))
    assert field(at, "classes_layer_input").value == 2
    at = choose(at, "classes_layer_input", 1)
    assert card(at) == "L1.neuron[5]"


def test_two_models_are_compared_and_the_changed_neurons_listed():
    two = (ModelRef("embedded"), ModelRef("embedded-tuned"))
    at = fake.visit(
        "neurons", query(Workspace(two).with_choice("about", "models")), seconds=PATIENCE
    )
    assert faults(at) == []
    assert charts(at) == {"neuron_map", "match"}
    chosen = table(at, "match_table")["neuron"][2]
    assert card(click_row(at, "match_table", 2)) == chosen


def test_models_of_other_shapes_cannot_be_compared_which_is_one_sentence():
    two = (ModelRef(SMALL), ModelRef(STORIES))
    at = fake.visit(
        "neurons", query(Workspace(two).with_choice("about", "models")), seconds=PATIENCE
    )
    assert len(faults(at)) == 1


# --- which text ----------------------------------------------------------------------------


def paste(at: AppTest, text: str) -> AppTest:
    at.text_area(key="corpus_text").set_value(text)
    at.button(key="FormSubmitter:corpus_form-Use this text").click()
    return settled(at, PATIENCE)


def test_pasted_text_is_what_neurons_are_looked_at_on():
    at = paste(opened(about="neuron", corpus="reference"), SHORT)
    assert faults(at) == []
    assert work(at).choice("corpus") == "pasted"
    assert "of pasted text in 2 contexts" in texts(at)
    at = choose(at, "choice_by", "fires")
    at = choose(at, "find", "cat")
    assert "too few places with the word cat in pasted text" in faults(at)[0]


def test_an_empty_text_is_none():
    at = opened(STORIES, about="plane", corpus="reference")
    assert work(paste(at, "  \n")).choice("corpus") == "built-in"


def test_a_text_of_one_word_is_a_text():
    assert faults(paste(opened(about="neuron", corpus="reference"), "a")) == []


def test_a_link_to_pasted_text_says_that_the_text_is_elsewhere():
    at = opened(about="neuron", corpus="pasted")
    assert faults(at) == []
    assert "another tab" in notes(at)[0]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/no/such/file.txt", "cannot be read"),
        ("/etc/passwd", "expected built-in"),
        ("../../secret.txt", "holds"),
        ("nonsense", "expected built-in"),
        ("/dev/zero.txt", "cannot be read"),
        ("x\x00y.txt", "expected built-in"),
    ],
)
@pytest.mark.parametrize("about", ["neuron", "plane"])
def test_a_text_that_cannot_be_read_is_one_sentence(path, said, about):
    at = opened(about=about, corpus=path)
    (fault,) = faults(at)
    assert said in fault
    assert "Writes most alike" in texts(at)


def test_a_file_is_read(week):
    at = opened(about="neuron", corpus=week)
    assert faults(at) == []
    assert "week.jsonl" in texts(at)
    assert "in 42 contexts" in texts(at)


def test_a_hosted_server_reads_no_files_and_does_not_say_which_there_are(monkeypatch, week):
    monkeypatch.setenv("EIDOSCOPE_HOSTED", "1")
    said = []
    for path in (week, week.replace("week.", "gone.")):
        at = opened(about="neuron", corpus=path)
        (fault,) = faults(at)
        said.append(fault.replace("gone.", "week."))
    assert "no files" in said[0]
    assert said[0] == said[1]
    assert faults(paste(at, SHORT)) == []


# --- other families ------------------------------------------------------------------------


def test_experts_have_no_neurons_of_their_own_which_is_one_sentence(tiny: Callable[[str], Path]):
    at = opened(str(tiny("mixtral")))
    assert faults(at) == []
    (note,) = notes(at)
    assert "No single neurons" in note
    assert at.dataframe == []


@pytest.mark.parametrize("family", ["bert", "t5", "t5_gated", "gpt2"])
@pytest.mark.parametrize("about", ["neuron", "causes", "plane", "classes", "explain", "groups"])
def test_every_family_shows_what_it_can(tiny: Callable[[str], Path], family, about):
    prompt = "the [MASK] sat" if family == "bert" else "the cat sat"
    at = opened(str(tiny(family)), prompt, about=about)
    assert faults(at) == []
    assert card(at) == table(at, "map_table")["neuron"][0]
    assert card(at).startswith("enc.") == family.startswith("t5")
    said = [note for note in notes(at) if "No output tokens of neurons" in note]
    assert len(said) == (family != "gpt2")


@pytest.mark.parametrize("family", ["bert", "t5", "gpt2"])
@pytest.mark.parametrize("by", ["out", "in", "fires"])
def test_every_family_is_searched(tiny: Callable[[str], Path], family, by):
    at = opened(str(tiny(family)), find="/a/", by=by, corpus="reference")
    assert faults(at) == []
    assert card(at) == table(at, "fires_table" if by == "fires" else "hits_table")["neuron"][0]


@pytest.mark.parametrize("family", ["bert", "t5"])
def test_where_writes_do_not_add_up_there_is_no_direct_effect_which_is_one_sentence(
    tiny: Callable[[str], Path], family
):
    at = opened(str(tiny(family)), map="direct")
    assert faults(at) == []
    assert "There is no direct effect to show" in " ".join(notes(at))
    assert "on the prompt" in table(at, "map_table")


# --- hostile tokens and texts --------------------------------------------------------------


@pytest.fixture
def hostile(monkeypatch: pytest.MonkeyPatch) -> fake.FakeEngine:
    """A model all of whose tokens are markup, code or made to turn the line round."""
    engine = fake.install(monkeypatch)
    engine.hostile = True
    plain, ugly = engine._made_up, samples.HOSTILE
    made: dict[str, Result] = {
        "neuron_map": neuron_samples.neuron_map(ugly),
        "neuron_card": neuron_samples.neuron_card(ugly),
        "neuron_search": neuron_samples.neuron_search(ugly, asked=ugly[1]),
        "neuron_texts": text_samples.neuron_texts(ugly),
        "neuron_fires": text_samples.neuron_fires(ugly[1], ugly),
        "neuron_plane": text_samples.neuron_plane(ugly),
        "neuron_activity": text_samples.neuron_activity(ugly),
        "neuron_match": neuron_samples.neuron_match(ugly, models=(ugly[3], ugly[5])),
        "neuron_classes": neuron_samples.neuron_classes(),
    } | {result.name: result for result in claim_samples.hostile(ugly)}

    def answer(request: Request) -> Result:
        return made.get(request.analysis) or plain(request)

    monkeypatch.setattr(engine, "_made_up", answer)
    assert answers.backend() is engine
    return engine


@pytest.mark.parametrize(
    "choices",
    [
        {},
        {"find": samples.HOSTILE[1]},
        {"find": samples.HOSTILE[3], "by": "fires"},
        {"map": "activation", "about": "causes"},
        {"about": "plane"},
        {"about": "explain", "claim": samples.HOSTILE[5]},
        {"about": "models"},
        {"corpus": samples.HOSTILE[1]},
    ],
)
def test_tokens_that_are_markup_stay_text(hostile, choices):
    two = (ModelRef("embedded"), ModelRef("embedded-small"))
    state = Workspace(two, "".join(samples.HOSTILE[1:8]))
    for name, value in ({"about": "neuron"} | choices).items():
        state = state.with_choice(name, value)
    at = fake.visit("neurons", query(state))
    assert not at.exception
    for body in htmls(at):
        if "<style" not in body:
            assert not re.search(r"<(script|img|b>x|a )|<[^>]*\son\w+=", body), body
            assert "\u202e" not in body
    for element in [*at.markdown, *at.caption]:
        assert "![i]" not in element.value.replace("`![i]", "")
    for button in at.button:
        assert not re.search(r"(?<!`)!\[|<img", button.label)


def test_the_numbers_of_a_neuron_are_those_of_the_answers():
    at = opened(selection=Selection(layer=2, neuron=9), map="size")
    listed = table(at, "map_table")
    row = listed[listed["neuron"] == "L2.neuron[9]"]
    if len(row):  # the table ends after its first thousand
        adds = re.search(r"adds <b>([\d.e−]+)</b> stream units", texts(at))
        assert float(adds[1].replace("−", "-")) == pytest.approx(row["size"].item(), rel=5e-3)
    assert np.isfinite(listed["size"]).all()
