"""What a person had open lately survives a restart, a damaged file and a full list."""

import json
import threading

import pytest

from core import recent
from core.spec.request import ModelRef


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("EIDOSCOPE_HOME", str(tmp_path))
    monkeypatch.delenv("EIDOSCOPE_HOSTED", raising=False)
    return tmp_path


def _work(tab: str, title: str = "a sentence") -> recent.Work:
    return recent.Work(tab, "steer", title, 1.5, '{"kind": "x"}')


def test_nothing_is_recent_at_first():
    assert recent.models() == ()
    assert recent.work() == ()


def test_the_last_model_comes_first_and_is_listed_once():
    for name in ("a", "b", "a"):
        recent.remember_model(ModelRef(name))
    assert [model.name for model in recent.models()] == ["a", "b"]


def test_a_revision_is_another_model():
    recent.remember_model(ModelRef("a"))
    recent.remember_model(ModelRef("a", revision="step100"))
    assert len(recent.models()) == 2


def test_lists_are_bounded():
    for i in range(30):
        recent.remember_model(ModelRef(f"m{i}"))
        recent.remember_work(_work(f"tab{i}"))
    assert len(recent.models()) == recent.MAX_MODELS
    assert len(recent.work()) == recent.MAX_WORK
    assert recent.models()[0].name == "m29"


def test_new_work_of_a_tab_replaces_its_old():
    recent.remember_work(_work("tab", "old"))
    recent.remember_work(_work("other"))
    recent.remember_work(_work("tab", "new"))
    assert [item.title for item in recent.work()] == ["new", "a sentence"]


def test_work_too_long_for_the_list_is_left_out():
    recent.remember_work(recent.Work("tab", "steer", "t", 1.0, "x" * (recent.MAX_SESSION + 1)))
    assert recent.work() == ()


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '"x"', '{"version": 99}', '{"version": 1, "models": 7, "work": [[1]]}'],
)
def test_a_damaged_file_is_an_empty_list(own_home, text):
    (own_home / "recent.json").write_text(text)
    assert recent.models() == ()
    assert recent.work() == ()
    recent.remember_model(ModelRef("a"))
    assert [model.name for model in recent.models()] == ["a"]


def test_one_damaged_entry_costs_only_itself(own_home):
    plain = {"version": 1, "models": [["a", "", ""], ["b", 3, ""], "c"], "work": []}
    (own_home / "recent.json").write_text(json.dumps(plain))
    assert recent.models() == (ModelRef("a"),)


def test_hosted_mode_keeps_nothing(own_home, monkeypatch):
    recent.remember_work(_work("before"))
    monkeypatch.setenv("EIDOSCOPE_HOSTED", "1")
    recent.remember_work(_work("hosted"))
    assert recent.work() == ()
    monkeypatch.delenv("EIDOSCOPE_HOSTED")
    assert [item.tab for item in recent.work()] == ["before"]


def test_a_home_that_cannot_be_written_is_no_fault(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("EIDOSCOPE_HOME", str(blocked / "home"))
    recent.remember_model(ModelRef("a"))
    assert recent.models() == ()


def test_threads_lose_no_entry(own_home):
    tabs = [f"tab{i}" for i in range(recent.MAX_WORK)]
    threads = [threading.Thread(target=recent.remember_work, args=(_work(t),)) for t in tabs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(item.tab for item in recent.work()) == tabs
    assert [path.name for path in own_home.iterdir()] == ["recent.json"]


def test_forget_empties_both_lists():
    recent.remember_model(ModelRef("a"))
    recent.remember_work(_work("tab"))
    recent.forget()
    assert recent.models() == ()
    assert recent.work() == ()
