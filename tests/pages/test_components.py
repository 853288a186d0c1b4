"""The screen components: what they send to the browser, and how an answer is waited for."""

import csv
import inspect
import io
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.figures import table
from core.figures.theme import Look
from core.spec.request import ModelRef, Request
from core.spec.request import ask as question
from pages.shared import clicks, export, neuron_list, panels, texts, tokens
from tests.pages import samples
from tests.pages.samples import HOSTILE

MODEL = ModelRef("embedded")


# The source of every draw_* function is run as a page of its own; hence the imports inside
# and the quoted annotations.
def shown(draw: Callable[..., None], **values: object) -> AppTest:
    """One run of a page that consists of `draw(**values)`."""
    at = AppTest.from_function(draw, default_timeout=30, kwargs=values).run()
    assert not at.exception
    return at


def data(at: AppTest, index: int = 0) -> Any:
    """What a component was given, as JSON; arrays travel beside it."""
    proto = at.get("bidi_component")[index].proto
    return json.loads(proto.json or proto.mixed.json)


def draw_strip(pieces: tuple[str, ...], **chosen: "Any") -> None:
    from pages.shared.tokens import token_strip

    token_strip(pieces, key="strip", label="Prompt", on_pick=lambda _: None, **chosen)


def test_every_token_reaches_the_strip_made_visible() -> None:
    sent = data(shown(draw_strip, pieces=HOSTILE, special=[True] + [False] * (len(HOSTILE) - 1)))
    assert len(sent["tokens"]) == len(HOSTILE)
    assert sent["tokens"][1] == "<script>alert(1)</script>"  # told from markup by textContent
    assert all(piece.isprintable() for piece in sent["tokens"] if "\u200d" not in piece)
    assert sent["special"][:2] == [True, False]


def test_a_missing_value_is_sent_as_none() -> None:
    sent = data(shown(draw_strip, pieces=("a", "b", "c"), values=[0.5, float("nan"), -2.0]))
    assert sent["values"] == [0.5, None, -2.0]
    assert sent["limit"] == 2.0


def test_values_that_are_all_zero_or_missing_still_have_a_scale() -> None:
    for values in ([0.0, 0.0], [float("nan")] * 2):
        assert data(shown(draw_strip, pieces=("a", "b"), values=values))["limit"] == 1.0


@pytest.mark.parametrize(
    ("n", "picked", "start", "stop"),
    [
        (10, 3, 0, 10),
        (5_000, None, 0, 2_048),
        (5_000, 2_000, 0, 2_048),
        (5_000, 4_990, 2_952, 5_000),
    ],
)
def test_of_a_long_text_the_stretch_with_the_picked_token_is_shown(
    n: int, picked: int | None, start: int, stop: int
) -> None:
    assert tokens._window(n, picked, 2_048) == slice(start, stop)


def test_a_long_text_says_what_is_shown_of_it() -> None:
    at = shown(draw_strip, pieces=("a",) * 3_000, picked=2_500)
    sent = data(at)
    assert len(sent["tokens"]) == 2_048
    assert sent["start"] == 952
    assert at.caption[0].value == "tokens 952 to 2,999 of 3,000 tokens"


def draw_attention(pieces: tuple[str, ...], weights: "Any") -> None:
    from pages.shared.tokens import attention_strip

    attention_strip(pieces, weights, key="attention", label="Head", query=1, on_pick=lambda _: None)


def test_attention_is_sent_once_as_bytes_and_knows_whether_it_is_causal() -> None:
    pattern = samples.attention().pattern
    at = shown(draw_attention, pieces=samples.PLAIN, weights=pattern)
    assert data(at)["causal"] is True
    proto = at.get("bidi_component")[0].proto
    (blob,) = proto.mixed.arrow_blobs.values()
    assert len(blob.data) < 2_000  # 36 weights, one byte each, and the wrapping
    both = shown(draw_attention, pieces=samples.PLAIN, weights=pattern.T)
    assert data(both)["causal"] is False


def draw_neurons(rows: "Any") -> None:
    from pages.shared.tokens import neuron_list

    neuron_list(rows, key="n", label="Neurons", on_clamp=lambda _: None, on_open=lambda _: None)


def test_a_neurons_bar_is_its_share_of_its_own_peak() -> None:
    rows = [
        tokens.NeuronRow("L5.neuron[77]", -1.5, 6.0, (" he", "<b>"), clamped=True),
        tokens.NeuronRow("L5.neuron[78]", 9.0, 6.0, ()),
        tokens.NeuronRow("L5.neuron[79]", 1.0, 0.0, ()),
    ]
    sent = data(shown(draw_neurons, rows=rows))["rows"]
    assert [row["share"] for row in sent] == [0.25, 1.0, 0.0]
    assert [row["value"] for row in sent] == ["−1.5", "+9", "+1"]
    assert sent[0]["negative"]
    assert sent[0]["clamped"]
    assert sent[0]["writes"] == ["·he", "<b>"]


def draw_texts(result: "Any") -> None:
    from pages.shared.texts import three_texts

    three_texts(result, key="texts")


def test_each_text_carries_its_own_changes_and_nothing_behind_its_end() -> None:
    result = samples.steer()
    sent = data(shown(draw_texts, result=result))
    assert [column["run"] for column in sent["columns"]] == ["clean", "clamped", "control"]
    for run, column in enumerate(sent["columns"]):
        n = len(result.pieces[run])
        change = (result.logprob_changed - result.logprob_clean)[run, :n]
        np.testing.assert_allclose(column["change"], change)
        assert len(column["read"]) == len(column["lines"]) == len(column["kl"]) == n
    assert sent["columns"][1]["says"] == "[L5.neuron[77], L4.head[2]]"
    assert "control" in sent["columns"][2]["lines"][0]


def test_a_token_without_a_number_says_so() -> None:
    result = samples.steer()
    holes = result.logprob_changed.copy()
    holes[1, 4] = np.nan
    column = data(shown(draw_texts, result=replace(result, logprob_changed=holes)))["columns"][1]
    assert column["change"][4] is None
    assert "no value" in column["lines"][4]


def test_without_clamps_there_is_one_text_and_no_scale() -> None:
    sent = data(shown(draw_texts, result=samples.steer(clamped=False)))
    assert [column["run"] for column in sent["columns"]] == ["clean"]
    assert not sent["legend"]


def draw_writing(partial: "Any", sites: "Any") -> None:
    from pages.shared.texts import streaming_texts

    streaming_texts(partial, key="writing", sites=sites)


def test_texts_being_written_stand_in_the_same_columns() -> None:
    partial = (("clean", " he\x00"), ("clamped", ""))
    sent = data(shown(draw_writing, partial=partial, sites=("L1.neuron[2]",)))
    assert [column["role"] for column in sent["columns"]] == ["clean", "clamped"]
    assert sent["columns"][0]["text"] == " he\\x00"
    assert sent["columns"][1]["says"] == "[L1.neuron[2]]"


@pytest.mark.parametrize("module", [clicks, tokens, neuron_list, texts], ids=lambda m: m.__name__)
def test_no_component_can_turn_text_into_markup(module: Any) -> None:
    source = inspect.getsource(module)
    banned = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|unsafe_allow|\beval\b"
    assert re.search(banned, source) is None


@dataclass
class HeldJob:
    """A job whose fate the test decides."""

    request: Request
    state: str = "working"
    share: float = 0.4
    note: str = "layer 3 of 8 <b>"
    partial: Any = None
    result: Any = None
    error: str = "the model has 8 layers, L9 was asked for; choose 0 to 7"
    error_id: str = "a1b2"
    seconds: float = 1.5

    @property
    def finished(self) -> bool:
        return self.state in ("done", "failed", "cancelled")

    def cancel(self) -> None:
        if not self.finished:
            self.state = "cancelled"

    def wait(self, timeout: float) -> bool:
        return self.finished


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[HeldJob]:
    """Every job asked for, in order; new ones are not finished."""
    found: list[HeldJob] = []

    def submit(request: Request, *, bulk: bool) -> HeldJob:
        found.append(HeldJob(request))
        return found[-1]

    monkeypatch.setattr(panels, "submit", submit)
    tab = panels.Asked()  # every AppTest is the same tab to Streamlit
    monkeypatch.setattr(panels, "asked", lambda: tab)
    return found


def draw_answer(request: "Any", others: "Any" = ()) -> None:
    import streamlit as st

    from core.figures import table
    from pages.shared import panels

    for key, other in others:
        panels.ask(other, key=key)
    result = panels.answer(request, key="lens")
    if result is not None:
        panels.panel(
            result,
            table.figure(result, panels.look()),
            key="lens",
            title="Logit lens <b>",
            help="Rows are layers.",
            python="result = 1",
            caption=table.caption(result),
        )
    panels.let_go()
    st.text("end of the page")


def lens_question(text: str = "a") -> Request:
    return question("lens", MODEL, text)


def page(request: Request, **more: Any) -> AppTest:
    return AppTest.from_function(
        draw_answer, default_timeout=30, kwargs={"request": request, **more}
    )


def words(at: AppTest) -> str:
    return " ".join(html.proto.body for html in at.get("html"))


def test_a_slow_answer_shows_a_frame_and_the_page_goes_on(jobs: list[HeldJob]) -> None:
    at = page(lens_question()).run()
    assert not at.exception
    assert "working · layer 3 of 8 &lt;b&gt; · 1.5 s" in words(at)
    assert [button.label for button in at.button] == ["Cancel"]
    assert at.text[0].value == "end of the page"


def test_an_answer_is_drawn_with_its_time_and_its_control(jobs: list[HeldJob]) -> None:
    at = page(lens_question())
    at.run()
    jobs[0].state, jobs[0].result = "done", samples.lens()
    at.run()
    assert not at.exception
    assert len(at.get("plotly_chart")) == 1
    assert "done in 1.5 s" in words(at)
    assert "control, random states" in words(at)
    assert "Logit lens &lt;b&gt;" in words(at)
    assert len(jobs) == 1


def test_a_failure_is_one_sentence_with_its_id_and_a_way_back(jobs: list[HeldJob]) -> None:
    at = page(lens_question())
    at.run()
    jobs[0].state = "failed"
    at.run()
    assert "L9 was asked for; choose 0 to 7 (id a1b2)" in words(at)
    at.button[0].click().run()
    assert at.button[0].label == "Cancel"
    assert len(jobs) == 2


def test_cancel_stops_the_job_and_offers_to_ask_again(jobs: list[HeldJob]) -> None:
    at = page(lens_question()).run()
    at.button[0].click().run()
    assert jobs[0].state == "cancelled"
    assert "cancelled" in words(at)
    assert at.button[0].label == "Ask again"
    assert len(jobs) == 1


def test_another_question_under_the_same_key_cancels_the_first(jobs: list[HeldJob]) -> None:
    asked = panels.Asked()
    first = asked.ask("lens", lens_question("a"))
    assert asked.ask("lens", lens_question("a")) is first
    second = asked.ask("lens", lens_question("b"))
    assert (jobs[0].state, jobs[1].state) == ("cancelled", "working")
    assert asked.job("lens") is second


def test_what_a_run_no_longer_asks_for_is_cancelled(jobs: list[HeldJob]) -> None:
    asked = panels.Asked()
    asked.ask("lens", lens_question())
    asked.ask("dose", question("dose", MODEL, "a"))
    asked.let_go()
    asked.ask("lens", lens_question())
    asked.let_go()
    assert [job.state for job in jobs] == ["working", "cancelled"]


def test_a_closed_tab_cancels_its_jobs(jobs: list[HeldJob]) -> None:
    asked = panels.Asked()
    asked.ask("lens", lens_question())
    asked.release()
    assert jobs[0].state == "cancelled"


def test_a_question_asked_ahead_is_the_one_answered(jobs: list[HeldJob]) -> None:
    page(lens_question(), others=(("lens", lens_question()),)).run()
    assert len(jobs) == 1


def test_no_cell_of_a_table_is_read_as_a_formula() -> None:
    for text in ("=1+2", "+1", "-he", "@x", "\tx", "\rx", "＝1"):
        assert export.safe_cell(text) == f"'{text}"
    assert export.safe_cell(-2.5) == -2.5
    assert export.safe_cell(" he") == " he"


def test_text_columns_of_a_table_are_made_safe(monkeypatch: pytest.MonkeyPatch) -> None:
    import pandas as pd

    frame = pd.DataFrame({"=token": ["=1+2", "-", "he", "日本"], "value": [-1.5, 2.0, 0.0, 1.0]})
    result = samples.head_effect()
    monkeypatch.setattr(type(result), "to_frame", lambda _: frame)
    rows = list(csv.reader(io.StringIO(export.csv(result).decode())))
    assert rows[0] == ["'=token", "value"]
    assert [row[0] for row in rows[1:]] == ["'=1+2", "'-", "he", "日本"]
    assert [float(row[1]) for row in rows[1:]] == [-1.5, 2.0, 0.0, 1.0]


def test_the_json_holds_every_array_and_no_number_that_json_lacks() -> None:
    result = samples.steer(pieces=HOSTILE)
    plain = json.loads(export.as_json(result), parse_constant=pytest.fail)
    assert plain["analysis"] == "steer"
    assert plain["labels"]["runs"] == ["clean", "clamped", "control"]
    kl = plain["arrays"]["kl"]
    assert kl["shape"] == list(result.kl.shape)
    assert kl["values"][2][-1] is None
    np.testing.assert_allclose(kl["values"][0], result.kl[0])


def test_the_html_file_stands_alone_and_holds_no_foreign_markup() -> None:
    result = samples.lens(HOSTILE)
    text = export.html_page(table.figure(result, Look(titled=False)), result).decode()
    own = text[text.rindex("Plotly.newPlot") :]
    assert "<script>alert" not in own
    assert "<img" not in own
    assert "control, random states" in own
    assert not re.search(r"<script[^>]+src=", text)
