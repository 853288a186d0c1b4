"""Corpora: what is read, what is refused with which sentence, and how it becomes windows."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from core import answers, api
from core.analyses.runs import Silent
from core.corpus.chunks import contexts
from core.corpus.readers import BUILT_IN, stamp, texts
from core.models.loaded import Loaded
from core.models.tokens import decode
from core.spec.errors import Error
from core.spec.request import ModelRef, ask

STORY = "Yesterday Tom walked to the old house. Then he opened the door and saw a cat."


def read(corpus: object, **options: str) -> list[str]:
    return [text.text for text in texts(corpus, **options)]


def test_plain_text_is_divided_by_break_lines_and_by_two_blank_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("\ufeffone\n\nstill one<|endoftext|>\ntwo\n\n\nthree\n", encoding="utf-8")
    assert read(str(path)) == ["one\n\nstill one", "two", "three"]


def test_json_lines_hold_texts_or_objects_with_a_named_field(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    rows = ['"plain"', json.dumps({"text": "default", "body": "named"}), ""]
    path.write_text("\n".join(rows))
    assert read(str(path)) == ["plain", "default"]
    assert read(str(path), field="body") == ["plain", "named"]


def test_a_parquet_column_is_read(tmp_path: Path) -> None:
    import pandas as pd

    path = tmp_path / "a.parquet"
    pd.DataFrame({"text": ["one", None, "two"], "n": [1, 2, 3]}).to_parquet(path)
    assert read(str(path)) == ["one", "two"]
    with pytest.raises(Error, match="has no column 'body'; it has 'text', 'n'"):
        read(str(path), field="body")
    with pytest.raises(Error, match="holds a int in row 1 where a text was expected"):
        read(str(path), field="n")


def test_the_missing_parquet_reader_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(Error, match="needs the package pyarrow"):
        read(str(tmp_path / "a.parquet"))


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.txt", b"", "is empty"),
        ("a.txt", b"caf\xe9", "is not UTF-8 text .byte 0xe9."),
        ("a.jsonl", b'{"text": "a"}\n{', "line 2 of 'a.jsonl' is not JSON"),
        ("a.jsonl", b"[" * 100_000, "line 1 of 'a.jsonl' is not JSON"),
        ("a.jsonl", b'{"body": "a"}', "has no field 'text'; it has 'body'"),
        ("a.jsonl", b"7", "holds a int where a text was expected"),
        ("a.jsonl", b'"\\ud800"', "half of a character pair .U.D800."),
        ("a.parquet", b"no parquet", "is not a parquet file that can be read"),
        ("a.csv", b"text", "expected built-in, reference, world or the path of a .txt"),
    ],
)
def test_a_bad_file_is_one_sentence(
    tmp_path: Path, name: str, content: bytes, sentence: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Error, match=sentence):
        read(str(tmp_path / name))


def test_paths_that_are_no_plain_file_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    for name, sentence in {
        str(tmp_path / "pipe.txt"): "is not a plain file",
        str(tmp_path / "none.txt"): "cannot be read: No such file",
        str(tmp_path / "x" / ".." / "a.txt"): "holds '..'",
        "/etc/passwd": "expected built-in",
        "a\n.txt": "no corpus 'a?.txt'",
        "  ": "expected built-in",
    }.items():
        with pytest.raises(Error) as refused:
            read(name)
        assert sentence in str(refused.value)
    (tmp_path / "a.txt").write_text("text")
    assert read(str(tmp_path / "a.txt")) == ["text"]
    monkeypatch.setenv("EIDOSCOPE_HOSTED", "1")
    with pytest.raises(Error, match="this server reads built-in, reference, world and pasted"):
        read(str(tmp_path / "a.txt"))
    assert read(["pasted"]) == ["pasted"]


def test_long_documents_and_pastes_are_refused_before_memory_fills(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.corpus.readers.MAX_LINE", 100)
    monkeypatch.setattr("core.corpus.readers.MAX_PASTED", 150)
    path = tmp_path / "a.txt"
    path.write_text("x" * 101)
    with pytest.raises(Error, match=r"line 1 of 'a\.txt' has more than 100 characters"):
        read(str(path))
    path.write_text("xxxx\n" * 30)
    with pytest.raises(Error, match=r"divide the text by lines of <\|endoftext\|>"):
        read(str(path))
    with pytest.raises(Error, match=r"put them into a \.txt file"):
        read(["x" * 160])


@pytest.mark.parametrize("corpus", [[], ["", "  "]])
def test_an_empty_corpus_is_one_sentence(corpus: list[str], llama: Loaded) -> None:
    with pytest.raises(Error, match="the corpus is empty"):
        contexts(llama, corpus)


def test_a_corpus_that_is_no_text_is_refused() -> None:
    with pytest.raises(Error, match="a corpus is a name, the path of a file, or a list of texts"):
        read(["a", 3])


def test_a_stamp_changes_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one")
    before = stamp(str(path))
    path.write_text("other")
    assert stamp(str(path)) != before
    assert [stamp(name) for name in (*BUILT_IN, ("pasted",))] == [""] * 4


def test_a_stored_answer_is_not_given_for_a_file_that_changed(
    tmp_path: Path, tiny: Callable[[str], Path]
) -> None:
    path = tmp_path / "a.txt"
    path.write_text(STORY)
    request = ask("neuron_examples", ModelRef(str(tiny("llama"))), corpus=str(path))
    progress = Silent()
    progress.afterwards = []  # type: ignore[attr-defined]  # what the worker does later
    first = answers.answer(request, progress)
    assert answers.known(request) is first
    path.write_text(STORY * 2)
    assert answers.known(request) is None
    second = answers.answer(request, progress)
    assert second.labels()["n_tokens"] > first.labels()["n_tokens"]
    path.unlink()
    assert answers.known(request) is None
    with pytest.raises(Error, match="cannot be read: No such file"):
        answers.answer(request, progress)


def test_windows_never_cross_documents_and_give_back_the_text(llama: Loaded) -> None:
    corpus = [STORY, "The red cat. " * 30, "a"]
    made = contexts(llama, corpus, window=16)
    bos = llama.tokenizer.bos_token_id
    assert all(window.ids[0] == bos and len(window.ids) <= 16 for window in made.windows)
    for number, text in enumerate(corpus):
        own = [window for window in made.windows if window.document == number]
        assert decode(llama, [i for window in own for i in window.ids]).split() == text.split()
        ids = llama.tokenizer(text, add_special_tokens=False)["input_ids"]
        assert [i for window in own for i in window.ids[1:]] == ids
        for window in own:
            spans = window.spans[1:]
            assert window.spans[0] == (0, 0)
            assert decode(llama, window.ids[1:]).split() == text[spans[0][0] : spans[-1][1]].split()


@pytest.mark.parametrize("family", ["gpt2", "llama", "bert", "t5"])
def test_special_tokens_and_a_causal_models_first_token_do_not_count(
    tiny: Callable[[str], Path], family: str
) -> None:
    m = api.load(tiny(family), device="cpu")
    special = set(m.tokenizer.all_special_ids)
    for window in contexts(m, [STORY * 5], window=12).windows:
        counted = [token for token, kept in zip(window.ids, window.keep, strict=True) if kept]
        assert not special & set(counted)
        assert window.keep[0] == (m.kind == "encoder-decoder")
        plain = [token not in special for token in window.ids]
        assert list(window.keep[1:]) == plain[1:]


def test_batches_hold_every_window_once_and_short_ones_together(llama: Loaded) -> None:
    made = contexts(llama, "built-in", n_contexts=60, window=32)
    batches = made.batches(200)
    assert sorted(number for batch in batches for number in batch) == list(range(len(made)))
    for batch in batches:
        longest = max(len(made.windows[number].ids) for number in batch)
        assert len(batch) == 1 or len(batch) * longest <= 200
        mask = made.keep_mask(batch, longest)
        assert int(mask.sum()) == sum(sum(made.windows[number].keep) for number in batch)


def test_the_number_of_windows_is_kept_and_what_is_left_out_is_said(llama: Loaded) -> None:
    made = contexts(llama, "reference", n_contexts=3)
    assert (len(made), made.cut) == (3, True)
    assert not contexts(llama, [STORY]).cut
    for options in ({"n_contexts": 0}, {"window": 4}, {"window": True}, {"n_contexts": "9"}):
        with pytest.raises(Error, match="must be a whole number from"):
            contexts(llama, [STORY], **options)


def test_the_fingerprint_is_that_of_the_text_and_the_windows(llama: Loaded, gpt2: Loaded) -> None:
    one = contexts(llama, [STORY]).fingerprint
    assert contexts(llama, (STORY,)).fingerprint == one
    others = [
        contexts(llama, [STORY + " a"]),
        contexts(llama, [STORY], window=9),
        contexts(gpt2, [STORY]),
    ]
    assert one not in {other.fingerprint for other in others}


def test_the_world_carries_its_labels(llama: Loaded) -> None:
    made = contexts(llama, "world", n_contexts=50)
    labels = [
        (document.text[start:end], label)
        for document in made.documents
        for start, end, labels in document.spans
        for label in labels
    ]
    days = {word for word, label in labels if label == "day"}
    assert days
    assert all(word.rstrip("s").endswith("day") for word in days)
