"""Words, patterns and labels found in a text, and the tokens that stand for them."""

import re
import time

import pytest

from core.corpus.chunks import contexts
from core.corpus.spans import (
    capture_groups,
    label_spans,
    pattern_spans,
    target_tokens,
    word_spans,
)
from core.corpus.world.words import DAYS
from core.models.loaded import Loaded
from core.spec.errors import Error

TEXTS = [
    "On Monday and on Tuesday, monday's café — naïve Wednesdays 12 345.",
    "no day\nMon day",
    "",
    "\ue000Friday\ue001 📅 Friday!",
]


@pytest.mark.parametrize(
    "pattern",
    [
        r"(?:Mon|Tues)day",
        r"\bd\w+",
        r"[A-Z][a-z]+",
        r"\d+",
        r"(?m)^no",
        r"^On",
        r"y$",
        r"(?i)friday",
        "é",
        "📅 .",
        r"x*",
        r"[()\]]|\(",
    ],
)
def test_matches_are_those_of_python(pattern: str) -> None:
    wanted = [
        [m.span() for m in re.finditer(pattern, text, re.ASCII) if m.end() > m.start()]
        for text in TEXTS
    ]
    assert pattern_spans(pattern, TEXTS) == wanted


@pytest.mark.parametrize(
    "pattern",
    [
        r"(Mon|Tues)day",
        r"on (\w+)",
        r"\b(?:na)?(\w)ve\b",
        r"(\d+)\.$",
        r"d(?P<rest>ay)",
        r"^(O)n",
        r"(?i)f(r)iday|(?:x)",
        "caf(é)",
        r"📅 (Fri)",
        r"(z)?day",
    ],
)
def test_one_group_marks_the_part_that_is_meant(pattern: str) -> None:
    wanted = [
        [m.span(1) for m in re.finditer(pattern, text, re.ASCII) if m.span(1)[1] > m.span(1)[0]]
        for text in TEXTS
    ]
    assert pattern_spans(pattern, TEXTS) == wanted


def test_groups_are_told_from_what_looks_like_them() -> None:
    for pattern in (r"(?:a)[(]\(", r"[]()]", r"[^](]", r"\Q(a)\E", "(?i)a", r"\\[\](]"):
        assert capture_groups(pattern) == []
    assert capture_groups(r"\\(a)") == [(2, 3)]
    assert capture_groups(r"(?P<n>a)(b)") == [(0, 6), (8, 9)]


def test_patterns_that_are_none_are_one_sentence_and_none_takes_long() -> None:
    for pattern, sentence in {
        "": "is empty",
        "(": "does not compile",
        "(a)(b)": "has 2 groups",
        "(?=a)": "does not compile",
    }.items():
        with pytest.raises(Error, match=sentence):
            pattern_spans(pattern, TEXTS)
    began = time.perf_counter()
    assert pattern_spans("(?:a+)+b", ["a" * 50_000]) == [[]]
    assert time.perf_counter() - began < 5


def test_words_are_whole_words_in_any_case() -> None:
    found = word_spans(["Monday", "café", "Friday"], TEXTS)
    words = [[text[a:b] for a, b in spans] for text, spans in zip(TEXTS, found, strict=True)]
    assert words == [["Monday", "monday", "café"], [], [], ["Friday", "Friday"]]
    with pytest.raises(Error, match="list of words is empty"):
        word_spans([" "], TEXTS)
    with pytest.raises(Error, match="at most 500 words"):
        word_spans([f"w{i}" for i in range(501)], TEXTS)


@pytest.mark.parametrize("which", ["last", "first", "all"])
@pytest.mark.parametrize("window", [64, 9])
def test_tokens_of_a_word_are_those_that_overlap_it(llama: Loaded, which: str, window: int) -> None:
    text = "Yesterday Tom walked to the yard. Yesterdays yesterday."
    made = contexts(llama, [text], window=window)
    chosen = target_tokens(made, word_spans(["yesterday"], [text]), which)
    spans = [
        window.spans[i]
        for window, marks in zip(made.windows, chosen, strict=True)
        for i, mark in enumerate(marks)
        if mark
    ]
    for word in word_spans(["yesterday"], [text])[0]:
        own = [span for span in spans if span[0] < word[1] and word[0] < span[1]]
        assert own
        if which == "last":
            assert len(own) == 1
            assert own[0][0] < word[1] <= own[0][1]
        if which == "first":
            assert len(own) == 1
            assert text[own[0][0] : own[0][1]].lstrip()[:1] in ("Y", "y", "")
        if which == "all":
            assert own[-1][1] >= word[1]
    assert all(
        any(a < e and s < b for s, e in word_spans(["yesterday"], [text])[0]) for a, b in spans
    )
    with pytest.raises(Error, match="token must be one of last, first, all"):
        target_tokens(made, [[]], "any")


def test_labels_are_those_planted_in_the_world(llama: Loaded) -> None:
    made = contexts(llama, "world", n_contexts=80)
    found = label_spans("day", made)
    words = {made.documents[i].text[a:b] for i, spans in enumerate(found) for a, b in spans}
    assert words
    assert words <= set(DAYS)
    with pytest.raises(Error, match="no label 'weekday' in world; some of those there are: "):
        label_spans("weekday", made)
    with pytest.raises(Error, match="the corpus reference carries no labels"):
        label_spans("day", contexts(llama, "reference", n_contexts=5))
