"""What the page Neurons asks below the card, on which text, and in every family of models."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from core import answers
from core.results.base import Result
from core.spec.request import ModelRef, Request
from core.spec.workspace import Selection, Workspace
from tests.pages import claim_samples, fake, neuron_samples, samples, text_samples
from tests.pages.fake import field, htmls, notes, query, texts, work
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
    paste,
    table,
)

SHORT = "The dog ran. The dog sat.\n\nA dog is a dog. The cat saw the dog."
pytestmark = [built, pytest.mark.usefixtures("kept_answers")]


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
    assert charts(at) == {"neuron_map", "neuron_map_on_B", "differ_neuron_map_B", "match"}
    chosen = table(at, "match_table")["neuron"][2]
    assert card(click_row(at, "match_table", 2)) == chosen


def test_models_of_other_shapes_cannot_be_compared_which_is_one_sentence():
    two = (ModelRef(SMALL), ModelRef(STORIES))
    at = fake.visit(
        "neurons", query(Workspace(two).with_choice("about", "models")), seconds=PATIENCE
    )
    assert len(faults(at)) == 1


# --- which text ----------------------------------------------------------------------------


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
    assert not field(at, "corpus").proto.accept_new_options
    assert faults(paste(at, SHORT)) == []


@pytest.mark.parametrize("prompt", ["", "word " * 20_000, "</s></s>", "\u202e<b>**"])
def test_a_prompt_of_any_kind_is_read_or_refused_in_one_sentence(prompt):
    at = opened(prompt=prompt)
    assert len(faults(at)) <= 1
    assert at.title[0].value == "Neurons"


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
