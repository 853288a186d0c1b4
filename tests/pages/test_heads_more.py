"""Two heads beside each other, contexts, types and what tasks share, on the page Heads."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core import answers
from core.results.base import Result
from core.spec.request import Request
from core.spec.workspace import Selection, Workspace
from pages.shared.sections.head_compare import named
from pages.shared.sections.head_tasks import TASKS
from tests import tiny
from tests.pages import head_cause_samples, head_pair_samples, head_weight_samples
from tests.pages.fake import address, field, notes, settled, work
from tests.pages.head_page import PATIENCE, family, opened, small, sound

pytestmark = pytest.mark.usefixtures("kept_answers")
PAIR: dict[str, Any] = {
    "at": Selection(layer=1, head=0),
    "looked": "compare",
    "other": "L2.head[3]",
}


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Request]]:
    """`made_up(head_types=result)`: the real engine, but this analysis answers so; the asked."""

    def install(**results: Result) -> list[Request]:
        real, asked = answers.backend(), []

        class Partly:
            def __getattr__(self, name: str) -> Any:
                return getattr(real, name)

            def answer(self, request: Request, progress: Any) -> Result:
                asked.append(request)
                found = results.get(request.analysis)
                return found if found is not None else real.answer(request, progress)

        monkeypatch.setattr(answers, "backend", Partly)
        return asked

    return install


# --- two heads -------------------------------------------------------------------------------


@small
def test_a_link_shows_two_heads_with_patterns_scores_writes_and_causes() -> None:
    at = opened(**PAIR)
    said = sound(at)
    for part in (
        "L1.head[0] beside L2.head[3]", "L1.head[0] − L2.head[3]", "How alike", "other heads, mean",
        "What they cause", "without both", "Scores", "induction stripe", "What each writes",
    ):  # fmt: skip
        assert part in said, part
    assert said.count("Writes (chance |z|") == 2
    table = said.partition("Scores</div>")[2].partition("</table>")[0]
    assert table.count("<th>control</th>") == 2  # one beside each head
    assert address(at)["other"] == "L2.head[3]"


@small
def test_the_card_holds_its_head_and_the_next_one_chosen_stands_beside_it() -> None:
    at = opened(at=Selection(layer=1, head=0))
    at.button(key="head_compare").click()
    settled(at, PATIENCE)
    assert "L1.head[0] is held as the second head" in sound(at)
    at.button(key="head_n").click()
    settled(at, PATIENCE)
    assert "L1.head[1] beside L1.head[0]" in sound(at)
    at.button(key="compare_swap").click()
    settled(at, PATIENCE)
    assert "L1.head[0] beside L1.head[1]" in sound(at)
    assert {"other": "L1.head[1]", "layer": "1", "head": "0"}.items() <= address(at).items()


def _choose() -> None:
    from pages.shared.sections import head_map

    head_map.choose((3, 1))


@pytest.mark.parametrize(
    ("looked", "picks", "other", "layer"),
    [
        ("compare", "other", "L3.head[1]", 1),
        ("compare", "head", "L2.head[3]", 3),
        ("pattern", "other", "L2.head[3]", 3),
    ],
)
def test_a_click_chooses_the_second_head_only_where_two_are_compared_and_it_is_asked_for(
    looked: str, picks: str, other: str, layer: int
) -> None:
    start = Workspace(selection=Selection(layer=1, head=0)).with_choice("other", "L2.head[3]")
    at = AppTest.from_function(_choose, default_timeout=30)
    at.session_state["_workspace"] = start.with_choice("looked", looked).with_choice("picks", picks)
    at.run()
    assert not at.exception
    assert work(at).choice("other") == other
    assert work(at).selection.layer == layer


@small
@pytest.mark.parametrize(
    ("other", "says"),
    [
        ("", "Choose the head that L1.head[0] is compared with"),
        ("the best", "names no head"),
        ("L99.head[0]", "the model has layers 0 to"),
        ("L1.head[0]", "is held as the second head"),
    ],
)
def test_what_is_no_second_head_is_said_in_a_sentence(other: str, says: str) -> None:
    at = opened(**PAIR | {"other": other})
    assert any(says in note for note in notes(at)), notes(at)
    assert "How alike" not in "".join(notes(at))


@small
def test_a_second_head_is_typed_in_short() -> None:
    at = opened(**PAIR | {"other": ""})
    field(at, "other").set_value("2.3")
    settled(at, PATIENCE)
    assert "L1.head[0] beside L2.head[3]" in sound(at)
    assert address(at)["other"] == "2.3"


@pytest.mark.parametrize(
    ("text", "head"),
    [
        ("L4.head[2]", (4, 2)), ("enc.L4.head[2]", (4, 2)), (" 4.2 ", (4, 2)), ("L4H2", (4, 2)),
        ("4 2", (4, 2)), ("12,31", (12, 31)), ("42", None), ("L4", None), ("L4.neuron[2]", None),
        ("-1.2", None), ("<b>4.2</b>", None),
    ],
)  # fmt: skip
def test_names_of_heads_are_read_as_people_write_them(
    text: str, head: tuple[int, int] | None
) -> None:
    assert named(text) == head


@pytest.mark.parametrize("name", ["bert", "t5"])
def test_heads_of_encoders_are_compared_too(name: str, tmp_path: Path) -> None:
    at = family(name, tmp_path / "m", **PAIR | {"other": "0.1"})
    begin = "enc." if name == "t5" else ""
    assert f"{begin}L1.head[0] beside {begin}L0.head[1]" in sound(at)


def test_two_patterns_of_a_long_text_are_drawn_in_cells(tmp_path: Path) -> None:
    folder = tiny.make("gpt2", tmp_path / "m", n_positions=600)
    at = opened(str(folder), "a " * 590, **PAIR | {"other": "0.1"})
    assert "a cell is 7 tokens wide" in sound(at)


# --- contexts --------------------------------------------------------------------------------


@small
def test_contexts_stand_beside_their_control_and_the_effect() -> None:
    at = opened(at=Selection(layer=1, head=0), looked="contexts", corpus="reference")
    said = sound(at)
    assert "Where L1.head[0] looks most" in said
    assert "strongest pairs look at" in said
    assert "random key" in said
    assert "Without it log p of" in said.partition("Where L1.head[0] looks most")[2]
    groups = field(at, "choice_pairs").options
    assert len(groups) >= 4
    at.session_state["_workspace"] = work(at).with_choice("pairs", "sample")
    settled(at, PATIENCE)
    sound(at)
    assert address(at)["pairs"] == "sample"


@small
@pytest.mark.parametrize("looked", ["texts", "contexts"])
def test_the_text_is_chosen_once_where_heads_are_scored_on_a_corpus(
    looked: str, made_up: Any
) -> None:
    made_up(head_importance=head_cause_samples.head_importance())
    at = opened(looked=looked, scored="corpus", corpus="reference")
    sound(at)
    assert field(at, "corpus").value == "reference"  # exactly one such widget


# --- types and tasks -------------------------------------------------------------------------


@small
def test_types_are_named_when_they_are_begun_and_shown_in_every_way(made_up: Any) -> None:
    asked = made_up(head_types=head_cause_samples.head_types())
    at = opened(at=Selection(layer=4, head=1), looked="types")
    assert not any(request.analysis == "head_types" for request in asked)
    before = len(at.get("plotly_chart"))
    at.button(key="types_begin").click()
    settled(at, PATIENCE)
    for shown in ("stages", "depth", "card"):
        at.session_state["_workspace"] = work(at).with_choice("typed", shown)
        settled(at, PATIENCE)
        assert "heads fit a rule" in sound(at)
        assert len(at.get("plotly_chart")) == before + 1
    assert sum(request.analysis == "head_types" for request in asked) == 1


@small
def test_the_map_shows_the_stage_of_every_head_and_then_types_need_no_beginning(
    made_up: Any,
) -> None:
    made_up(head_types=head_cause_samples.head_types())
    at = opened(heads="stage", looked="types")
    said = sound(at)
    assert "heads fit a rule" in said.partition("<b>All heads</b>")[2].partition("<b>One score")[0]
    assert not [button for button in at.button if button.key == "types_begin"]


@small
def test_wrong_examples_are_of_the_kind_that_is_chosen(made_up: Any) -> None:
    asked = made_up(head_false_induction=head_pair_samples.head_false_induction())
    at = opened(looked="tasks", task="head_false_induction", examples="random")
    before = len(at.get("plotly_chart"))
    at.button(key="head_false_induction_begin").click()
    settled(at, PATIENCE)
    wanted = [request for request in asked if request.analysis == "head_false_induction"]
    assert [request.option("source") for request in wanted] == ["random"]
    for shown in TASKS["head_false_induction"].views:
        at.session_state["_workspace"] = work(at).with_choice("shown", shown)
        settled(at, PATIENCE)
        assert "looks for what wrong examples teach" in sound(at)
        assert len(at.get("plotly_chart")) == before + 1


@small
def test_pairs_of_heads_are_shown_by_their_channels_too(made_up: Any) -> None:
    made_up(head_composition=head_weight_samples.head_composition())
    at = opened(looked="pairs", shown="channels")
    assert "200 random directions" in sound(at)
    assert address(at)["shown"] == "channels"


@small
def test_a_list_is_tried_on_a_head_when_it_is_begun(made_up: Any) -> None:
    asked = made_up(head_successor=head_weight_samples.head_successor())
    at = opened(looked="tokens")
    assert not any(request.analysis == "head_successor" for request in asked)
    at.button(key="successor_begin").click()
    settled(at, PATIENCE)
    for shown, said in (("items", "no single token"), ("digits", "144 numbers, 36 held out")):
        at.session_state["_workspace"] = work(at).with_choice("shown", shown)
        settled(at, PATIENCE)
        assert said in sound(at)


@small
def test_tasks_to_compare_are_chosen_and_what_they_share_is_shown_in_every_way(
    made_up: Any,
) -> None:
    asked = made_up(head_overlap=head_pair_samples.head_overlap())
    at = opened(looked="tasks", task="head_overlap", tried="facts,colours,no such task")
    assert field(at, "tried").value == ["colours", "facts"]
    field(at, "tried").set_value(["colours"])
    settled(at, PATIENCE)
    assert any("two tasks or more" in note for note in notes(at))
    field(at, "tried").set_value(["facts", "successions"])
    settled(at, PATIENCE)
    assert address(at)["tried"] == "facts,successions"
    before = len(at.get("plotly_chart"))
    at.button(key="head_overlap_begin").click()
    settled(at, PATIENCE)
    wanted = [request for request in asked if request.analysis == "head_overlap"]
    assert [request.option("tasks") for request in wanted] == [("successions", "facts")]
    for shown in TASKS["head_overlap"].views:
        at.session_state["_workspace"] = work(at).with_choice("shown", shown)
        settled(at, PATIENCE)
        assert "2 heads, by chance" in sound(at)
        assert len(at.get("plotly_chart")) == before + 1
