"""The Steer page on a made-up engine: what it asks, what it shows, what it does with faults."""

from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from core.spec.interventions import Ablate, Clamp
from core.spec.request import ModelRef
from core.spec.site import site
from core.spec.workspace import Selection, TrayItem, Workspace
from pages.shared.sections.neurons import ranked
from pages.shared.sections.view import as_code, selected
from tests.pages import fake, samples
from tests.pages.fake import FakeEngine, address, field, notes, query, settled, texts, visit, work

ANALYSES = ("next_tokens", "lens", "token_neurons", "attention", "head_effect", "steer")


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    return fake.install(monkeypatch)


def opened(state: Workspace) -> AppTest:
    return visit("steer", query(state))


CLAMPED = Workspace(tray=(TrayItem(Clamp(site("L5.neuron[77]"), 6.5), unit=3.25),))


def test_a_stranger_sees_every_view_of_the_default_sentence(engine):
    at = opened(Workspace())
    assert {request.analysis for request in engine.asked} >= set(ANALYSES)
    assert len(at.get("plotly_chart")) == 3  # next tokens, lens, effect of heads
    assert "Now change something." in texts(at)
    assert notes(at) == []


def test_every_question_is_about_the_same_text_and_the_active_clamps(engine):
    opened(replace(CLAMPED, prompt="a text"))
    asked = [request for request in engine.asked if request.prompts]
    assert {request.prompts for request in asked} == {("a text",)}
    plain = {request.interventions for request in asked if request.analysis != "dose"}
    assert plain == {CLAMPED.active()}
    assert {request.analysis for request in asked} == {*ANALYSES, "dose"}


def test_the_text_is_continued_greedily_by_40_tokens(engine):
    opened(Workspace())
    (request,) = engine.questions("steer")
    assert dict(request.options) == {"new_tokens": 40, "temperature": 0.0, "seed": 0}


def test_every_active_clamp_is_named_on_the_page_and_one_that_is_off_is_not_asked_for(engine):
    off = TrayItem(Ablate(site("L1.head[2]")), on=False)
    at = opened(replace(CLAMPED, tray=(*CLAMPED.tray, off)))
    assert "**Clamped:** `L5.neuron[77] = 6.5`" in texts(at)
    assert {request.interventions for request in engine.questions("steer")} == {CLAMPED.active()}


def test_nothing_is_computed_twice(engine):
    opened(CLAMPED)
    asked = [request.key() for request in engine.asked]
    assert len(asked) == len(set(asked))


def test_removing_a_clamp_asks_the_exact_questions_from_before(engine):
    at = opened(Workspace())
    before = [request.key() for request in engine.asked]
    at.session_state["_workspace"] = CLAMPED
    at.session_state["_touched"] = True
    settled(at)
    engine.asked.clear()
    at.button(key="clamp_0_remove").click()
    settled(at)
    assert engine.asked == []
    assert len(before) == len(ANALYSES) + 1  # and the card


def test_the_dose_is_the_same_question_wherever_the_slider_stands(engine):
    at = opened(CLAMPED)
    field(at, "clamp_0_times").set_value(1.5)
    settled(at)
    (request,) = engine.questions("dose")
    assert request.option("item") == 0
    assert [change.value for change in request.interventions] == [3.25]
    field(at, "clamp_0_times").set_value(-1.5)
    settled(at)
    assert [change.value for change in engine.questions("dose")[-1].interventions] == [-3.25]


def test_the_best_usable_strength_of_a_clamp_is_one_click_away():
    at = opened(CLAMPED)
    assert "Best usable strength: +2" in texts(at)
    at.button(key="dose_best").click()
    settled(at)
    result = samples.dose()
    assert work(at).active() == (Clamp(site("L5.neuron[77]"), 2.0 * result.unit),)


def test_the_dose_can_be_had_of_any_clamp_with_a_strength(engine):
    tray = (
        *CLAMPED.tray,
        TrayItem(Ablate(site("L1.head[2]"))),
        TrayItem(Clamp(site("L2.neuron[1]"), 2.0), unit=1.5),
    )
    at = opened(replace(CLAMPED, tray=tray))
    assert [r.option("item") for r in engine.questions("dose")] == [2]
    field(at, "dose_item").set_value(0)
    settled(at)
    assert engine.questions("dose")[-1].option("item") == 0


def test_ablations_alone_have_no_dose(engine):
    at = opened(Workspace(tray=(TrayItem(Ablate(site("L1.head[2]"))),)))
    assert engine.questions("dose") == []
    assert "None of these clamps has a strength" in texts(at)


# --- the selection -------------------------------------------------------------------------


def test_the_selected_token_goes_into_the_questions_and_the_address(engine):
    at = opened(Workspace())
    field(at, "lens_token").set_value(2)
    settled(at)
    assert address(at) == {"token": "2"}
    for analysis in ("next_tokens", "token_neurons", "head_effect"):
        assert engine.questions(analysis)[-1].option("position") == 2


def test_the_layer_and_the_head_go_into_the_question_about_attention(engine):
    at = opened(Workspace())
    field(at, "head_layer").set_value(3)
    settled(at)
    field(at, "head_head").set_value(5)
    settled(at)
    last = engine.questions("attention")[-1]
    assert (last.option("layer"), last.option("head")) == (3, 5)
    assert address(at) == {"layer": "3", "head": "5"}
    assert field(at, "work_selection_layer").value == 3


def test_a_selection_the_model_does_not_have_is_moved_into_it():
    at = opened(Workspace(selection=Selection(token=99, layer=50, head=70)))
    assert work(at).selection.layer == 7
    assert work(at).selection.head == 5
    assert address(at)["layer"] == "7"
    assert field(at, "lens_token").value == len(samples.PLAIN) - 1


def test_the_card_of_a_cell_says_entropy_with_its_control():
    at = opened(Workspace(selection=Selection(token=2, layer=3)))
    (card,) = [body for body in fake.htmls(at) if 'class="eido-card"' in body]
    result = samples.lens()
    assert "L3.resid_post@2" in card
    assert f"{result.entropy[3, 2]:.3g}" in card
    assert f"random state {result.random_entropy[3, 2]:.3g}" in card


def test_a_new_text_forgets_the_token_selected_in_the_old():
    at = opened(Workspace(selection=Selection(token=2, layer=3)))
    field(at, "prompt").set_value("Another text")
    settled(at)
    assert work(at).prompt == "Another text"
    assert work(at).selection == Selection(layer=3)


def test_the_mask_is_what_is_selected_in_a_fill_in_text():
    masked = replace(samples.next_tokens(("[CLS]", "a", " [MASK]", ".", "[SEP]")), masked=True)
    assert selected(masked, None) == (2, 2)
    assert selected(masked, 1) == (1, 1)
    assert selected(samples.next_tokens(), None) == (5, None)
    assert selected(samples.next_tokens(), 5) == (5, None)
    assert selected(samples.next_tokens(), 2) == (2, 2)


# --- neurons and heads to the tray ---------------------------------------------------------


def test_the_list_holds_the_two_strongest_of_every_layer_from_the_top():
    result = samples.token_neurons()
    places = ranked(result, "all")
    assert places[:2] == [(7, 0), (7, 1)]
    assert len(places) == 16
    strongest = ranked(result, "top")
    sizes = [result.write[place] for place in strongest]
    assert sizes == sorted(sizes, reverse=True)
    assert result.write.max() == sizes[0]


def test_a_neuron_is_clamped_to_its_observed_maximum_with_its_own_sign(monkeypatch):
    """The click itself needs a browser; here the callback it runs."""
    from pages.shared.sections import neurons

    state: dict[str, object] = {}
    monkeypatch.setattr("streamlit.session_state", state)
    result = samples.token_neurons()
    lowest, highest = (
        divmod(int(i), result.activation.shape[1])
        for i in (result.activation.argmin(), result.activation.argmax())
    )
    assert result.activation[lowest] < 0 < result.activation[highest]
    for place, sign in ((lowest, -1), (highest, 1)):
        neurons._clamp(result, *place)
        found = state["_workspace"]
        assert isinstance(found, Workspace)
        peak = float(result.peak[place])
        assert found.tray[-1].unit == peak
        assert found.tray[-1].change == Clamp(
            site(f"L{place[0]}.neuron[{result.neuron[place]}]"), sign * peak
        )


def test_the_selected_head_is_ablated_by_its_button():
    at = opened(Workspace(selection=Selection(layer=2, head=3)))
    at.button(key="ablate_head").click()
    settled(at)
    assert work(at).active() == (Ablate(site("L2.head[3]"), "mean"),)


# --- texts and faults ----------------------------------------------------------------------


@pytest.mark.parametrize("prompt", ["", "   ", "\n"])
def test_no_text_is_one_sentence_and_examples_to_take(prompt):
    at = opened(Workspace(prompt=prompt))
    assert len(notes(at)) == 1
    assert "the text is empty" in notes(at)[0]
    at.button(key="example_1").click()
    settled(at)
    assert notes(at) == []
    assert len(at.get("plotly_chart")) == 3


def test_a_very_long_text_is_shown_and_asked(engine):
    at = opened(Workspace())
    field(at, "prompt").set_value("word " * 20_000)
    settled(at)
    assert len(engine.questions("steer")[-1].prompts[0]) == 100_000
    assert set(address(at)) == {"kept"}
    assert field(at, "prompt_area").value == "word " * 20_000


def test_several_lines_are_kept():
    at = opened(Workspace(prompt="one\ntwo"))
    assert field(at, "prompt_area").value == "one\ntwo"


def test_hostile_tokens_reach_the_page_escaped(engine):
    engine.hostile = True
    at = opened(replace(CLAMPED, prompt="<script>alert(1)</script> ![i](http://127.0.0.1:9/x)"))
    everything = "\n".join([*fake.htmls(at), *(m.value for m in at.markdown)])
    assert "<script>" not in everything
    assert "<img" not in everything
    assert "![i]" not in everything


def test_a_model_that_cannot_be_loaded_is_one_sentence_and_the_frame_stays():
    at = opened(replace(CLAMPED, models=(ModelRef("/missing"),)))
    assert any("no folder" in note for note in notes(at))
    assert at.get("plotly_chart") == []
    assert field(at, "clamp_0_on").value is True
    at.button(key="clamp_0_remove").click()
    settled(at)
    assert work(at).tray == ()


def test_loading_can_be_tried_again_once_the_folder_is_there(engine, monkeypatch):
    at = opened(Workspace(models=(ModelRef("/missing"),)))
    monkeypatch.setattr(engine, "stamp", lambda model: "there now")
    at.button(key="load_again").click()
    settled(at)
    assert notes(at) == []
    assert len(at.get("plotly_chart")) == 3


def test_a_clamp_without_a_place_is_left_out_of_every_question(engine):
    bad = TrayItem(Clamp(site("L50.neuron[1]"), 1.0))
    opened(replace(CLAMPED, tray=(bad, *CLAMPED.tray)))
    known = [r for r in engine.asked if r.prompts and r.analysis != "dose"]
    assert known[-1].interventions == CLAMPED.active()
    assert engine.questions("steer")[-1].interventions == CLAMPED.active()


def test_an_encoder_says_why_it_writes_no_text(engine):
    engine.card = fake.card("encoder", (("generated text", "an encoder fills masks"),))
    at = opened(CLAMPED)
    assert engine.questions("steer") == []
    assert engine.questions("dose") == []
    assert any("No generated text for this model" in note for note in notes(at))


def test_a_model_without_a_head_still_shows_neurons_and_attention(engine):
    engine.card = fake.card("encoder", (("predictions and lens", "there is no head"),))
    opened(Workspace())
    asked = {request.analysis for request in engine.asked}
    assert asked == {"card", "attention", "token_neurons"}


def test_with_two_models_each_column_is_named_and_headings_and_teaching_stand_once():
    at = opened(Workspace(models=(ModelRef("embedded"), ModelRef("embedded-small"))))
    said = texts(at)
    assert 'eido-model-A">A · embedded' in said
    assert 'eido-model-B">B · embedded-small' in said
    headings = [one.value for one in at.subheader]
    assert headings.count("What it writes") == headings.count("Heads") == 1
    assert said.count("Now change something.") == 1


def test_slow_answers_leave_a_frame_with_cancel_and_come_by_themselves(engine):
    engine.gate.clear()
    at = AppTest.from_file(str(fake.ROOT / "app.py"), default_timeout=30)
    at.switch_page(str(fake.ROOT / "pages/steer.py")).run()
    assert not at.exception
    assert [button.key for button in at.button if button.key and button.key.endswith("_cancel")]
    engine.gate.set()
    assert len(settled(at).get("plotly_chart")) == 3


# --- python --------------------------------------------------------------------------------


def test_the_python_lines_name_model_text_and_clamps():
    from core.spec.request import ask

    request = ask(
        "lens",
        ModelRef("/a/folder", "step 1"),
        'say "x"\n',
        interventions=(Clamp(site("L1.neuron[2]"), 3.0),),
        k=5,
    )
    code = as_code(request)
    compile(code, "snippet", "exec")
    assert "m = api.load('/a/folder', revision='step 1')" in code
    assert 'api.Clamp("L1.neuron[2]", 3.0)' in code
    assert "api.run('lens', m, text='say \"x\"\\n', interventions=clamps, k=5)" in code
