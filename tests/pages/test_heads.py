"""Heads with the real engine: the map, the card and its questions, for every kind of model."""

import re
from pathlib import Path

import numpy as np
import pytest

from core.figures.head_atlas import Score, agreement
from core.spec.interventions import Ablate
from core.spec.site import site
from core.spec.workspace import Selection
from pages.shared.sections import head_map
from pages.shared.sections.head_scores import Atlas
from pages.shared.sections.head_tasks import TASKS
from pages.shared.tiles import pooled
from tests import tiny
from tests.pages.fake import address, field, notes, settled, texts, work
from tests.pages.head_page import family, opened, small, sound

pytestmark = pytest.mark.usefixtures("kept_answers")  # what one asked the next need not compute


# --- what is shown -------------------------------------------------------------------------


@small
def test_the_page_shows_map_scatter_table_card_and_pattern_and_the_effect_beside_it() -> None:
    at = opened()
    said = sound(at)
    assert notes(at) == []
    assert len(at.dataframe) == 1
    for part in ("All heads", "One score against another", "Attention of L"):
        assert part in said
    assert re.search(r"\d induction", said.partition("All heads")[2])
    pattern = said.split("Attention of L")[1]
    assert "Without it log p of" in pattern.split("looks most at")[0]


@small
def test_without_a_choice_the_head_of_the_largest_effect_stands_on_the_card() -> None:
    at = opened()
    table = at.dataframe[0].value
    effects = table["effect on the answer"].abs()
    best = table["head"][effects.idxmax()]
    assert f"<b>{best}</b>" in texts(at)
    assert work(at).selection.head is None
    assert "head" not in address(at)


@small
def test_a_link_to_the_first_head_is_not_taken_for_no_choice() -> None:
    at = opened(at=Selection(layer=0, head=0), heads="previous_token")
    assert "<b>L0.head[0]</b>" in texts(at)
    assert address(at)["head"] == "0"


@small
def test_a_head_that_the_model_has_not_becomes_the_last_it_has() -> None:
    at = opened(at=Selection(layer=70, head=50))
    assert "<b>L5.head[3]</b>" in texts(at)


@small
def test_the_strongest_by_the_score_shown_leads_the_table_and_the_card() -> None:
    at = opened(heads="induction_stripe")
    table = at.dataframe[0].value
    first = table.iloc[0]
    assert first["induction stripe"] == table["induction stripe"].max() > 0.8
    assert first["induction stripe, control"] < 0.1
    assert f"<b>{first['head']}</b>" in texts(at)


@small
def test_next_goes_on_to_the_layer_above_and_the_clamp_goes_into_the_tray() -> None:
    at = opened(at=Selection(layer=0, head=3))
    at.button(key="head_n").click()
    settled(at, seconds=200)
    assert (work(at).selection.layer, work(at).selection.head) == (1, 0)
    at.button(key="head_clamp").click()
    settled(at, seconds=200)
    assert work(at).active() == (Ablate(site("L1.head[0]"), "mean"),)
    assert "ablated" in texts(at) or "tray" in texts(at)


@small
@pytest.mark.parametrize(
    ("looked", "says"),
    [
        ("causes", "What heads cause for"),
        ("tokens", "reads and writes"),
        ("pairs", "Which heads read which"),
        ("ranking", "matters most to log p of"),
    ],
)
def test_every_question_about_a_head_is_answered(looked: str, says: str) -> None:
    assert says in sound(opened(looked=looked))


@small
def test_tokens_that_are_typed_are_what_the_head_is_asked_about() -> None:
    at = opened(looked="tokens")
    field(at, "source").set_value("cat, dog")
    settled(at, seconds=200)
    assert "<th><code>·cat</code></th>" in sound(at)
    assert address(at)["source"] == "cat, dog"


@small
def test_the_answer_that_is_typed_is_what_heads_are_ranked_for() -> None:
    at = opened(looked="ranking", answer="dog", versus="cat")
    assert "matters most to log p of “·dog”" in sound(at)


@small
def test_heads_are_ranked_for_a_concept() -> None:
    assert "matters most to “gender”" in sound(opened(looked="ranking", ranked="concept"))


@small
def test_a_task_is_tried_when_it_is_begun_and_shown_in_every_way() -> None:
    task = "retrieval"  # the quickest
    at = opened(looked="tasks", task=task)
    before = len(at.get("plotly_chart"))
    at.button(key=f"{task}_begin").click()
    settled(at, seconds=200)
    for shown in TASKS[task].views:
        at.session_state["_workspace"] = work(at).with_choice("shown", shown)
        settled(at, seconds=200)
        sound(at)
        assert len(at.get("plotly_chart")) == before + 1


@small
def test_a_score_of_the_weights_stands_beside_its_control_too() -> None:
    at = opened(heads="copy_at_5")
    table = at.dataframe[0].value
    assert table["copy@5"].max() > table["copy@5, control"].max()


@small
def test_heads_can_be_scored_on_the_prompt_itself() -> None:
    at = opened(scored="prompt")
    assert "1 text, 7 tokens" in sound(at)


# --- every kind of model, and texts at the edge --------------------------------------------


def test_an_encoder_shows_what_its_heads_look_at(tmp_path: Path) -> None:
    said = sound(family("bert", tmp_path / "m", prompt="the cat [MASK] on the mat"))
    assert "All heads" in said
    assert "Attention of L" in said


def test_an_encoder_decoder_shows_the_heads_of_its_encoder(tmp_path: Path) -> None:
    at = family("t5", tmp_path / "m", looked="texts")
    assert "enc.L" in sound(at)
    assert work(at).choice("looked") == "pattern"  # it continues no text, so that is not offered


def test_a_model_without_patterns_shows_effects_alone_and_says_why(tmp_path: Path) -> None:
    at = family("bloom", tmp_path / "m")
    said = sound(at)
    assert "All heads" in said
    if "No attention patterns" in said:
        assert "Attention of L" not in said


@pytest.mark.parametrize("looked", ["pattern", "causes"])
def test_one_token_is_a_text_too(tmp_path: Path, looked: str) -> None:
    at = family("gpt2", tmp_path / "m", prompt="a", looked=looked)
    assert "All heads" in sound(at)


def test_a_text_of_one_token_cannot_score_heads_and_says_so(tmp_path: Path) -> None:
    at = family("gpt2", tmp_path / "m", prompt="a", scored="prompt")
    assert any("two or more" in note for note in notes(at))
    assert "All heads" in texts(at)


def test_a_model_with_one_head_has_a_map(tmp_path: Path) -> None:
    folder = tiny.make("gpt2", tmp_path / "m", n_head=1)
    said = sound(opened(str(folder), "the cat sat on the mat"))
    assert "All heads" in said


# --- numbers -------------------------------------------------------------------------------


def score(values: list[list[float]], *, signed: bool = False) -> Score:
    return Score("s", "s", "nats", np.array(values, "float32"), signed=signed)


def test_ranks_go_by_size_where_a_score_has_a_sign() -> None:
    values = [[0.1, -0.9], [0.5, float("nan")]]
    assert score(values).strongest() == (1, 0)
    assert score(values, signed=True).strongest() == (0, 1)
    assert score(values, signed=True).rank(1, 1) == 4


def test_agreement_is_of_ranks_and_nothing_where_one_score_is_the_same_for_all() -> None:
    rising = score([[1, 2], [3, 400]])
    assert agreement(rising, score([[1, 8], [27, 64]])) == pytest.approx(1)
    assert agreement(rising, score([[4, 3], [2, 1]])) == pytest.approx(-1)
    assert np.isnan(agreement(rising, score([[1, 1], [1, 1]])))


def test_no_head_is_chosen_while_its_score_is_being_worked_out() -> None:
    assert head_map.selected(Atlas()) is None


# --- long texts ----------------------------------------------------------------------------


def test_a_text_of_1024_tokens_is_shown_and_what_is_sent_stays_small(tmp_path: Path) -> None:
    folder = tiny.make("gpt2", tmp_path / "m", n_positions=1030)
    at = opened(str(folder), "a " * 1_020, pictured="all layers")
    said = sound(at)
    assert "1 text of 1,0" in said
    assert "a cell is 22 tokens wide" in said


def test_the_full_picture_of_a_longer_text_keeps_every_large_weight() -> None:
    weights = np.zeros((2_500, 2_500), np.uint8)
    weights[2_001, 77] = 200
    picture, step = pooled(weights)
    assert step == 3
    assert picture.shape == (834, 834)
    assert picture[2_001 // 3, 77 // 3] == 200
    assert int(picture.sum()) == 200


def test_the_full_picture_of_a_short_text_is_the_pattern_itself() -> None:
    weights = np.arange(100, dtype=np.uint8).reshape(10, 10)
    picture, step = pooled(weights)
    assert step == 1
    np.testing.assert_array_equal(picture, weights)
