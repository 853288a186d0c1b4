"""Questions: computed once, answered from the store, never with an answer that is not theirs."""

import threading
from dataclasses import replace

import pytest

from core import jobs
from core.answers import Notes
from core.spec.errors import Error
from core.store import store
from tests.core.standins import Backend, answer_to, question, same

LONG = 10.0  # seconds no test comes near unless something hangs


@pytest.fixture
def backend(monkeypatch):
    """A backend of our own behind a worker, a store and notes of our own."""
    standin = Backend()
    monkeypatch.setattr("core.answers.backend", lambda: standin)
    monkeypatch.setattr("core.answers._notes", Notes())
    monkeypatch.setattr("core.worker._workers", {})
    yield standin
    assert jobs.cancel_all(LONG), "the worker does not come to rest"


def answered(text="hello", **how):
    """The finished job for the question, and the worker at rest behind it."""
    job = jobs.submit(question(text), **how)
    assert job.wait(LONG)
    assert jobs.run("after", lambda progress: None).wait(LONG)
    return job


def restart(monkeypatch):
    """A new process would know nothing but what is on disk."""
    monkeypatch.setattr("core.answers._notes", Notes())
    monkeypatch.setattr("core.store._stores", {})


def test_a_question_is_answered_by_the_backend(backend):
    job = answered("hello")
    assert job.state == "done"
    assert job.request == question("hello")
    assert job.label == "attention on embedded"
    assert same(job.result, answer_to(5))


def test_a_known_answer_is_there_at_once_even_while_the_worker_is_busy(backend):
    first = answered()
    begun, end = threading.Event(), threading.Event()
    jobs.run("busy", lambda progress: begun.set() or end.wait(LONG))
    assert begun.wait(LONG)
    again = jobs.submit(question())
    known = (again.state, again.result is first.result, again.wait(0), again.share)
    end.set()
    assert known == ("done", True, True, 1.0)
    assert backend.computed == ["hello"]


def test_fifty_askers_at_once_are_one_computation(backend):
    go = threading.Barrier(50)
    found = []

    def ask():
        go.wait(LONG)
        job = jobs.submit(question(), bulk=threading.get_ident() % 2 == 0)
        assert job.wait(LONG)
        found.append(job.result)

    threads = [threading.Thread(target=ask) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    assert backend.computed == ["hello"]
    assert len(found) == 50
    assert all(result is found[0] for result in found)


def test_different_questions_are_different_computations(backend):
    one, two = answered("one"), answered("other")
    assert backend.computed == ["one", "other"]
    assert same(one.result, answer_to(3))
    assert same(two.result, answer_to(5))


def test_after_a_restart_the_answer_comes_from_disk(backend, monkeypatch):
    first = answered()
    restart(monkeypatch)
    again = answered()
    assert backend.computed == ["hello"]
    assert again.result is not first.result
    assert same(again.result, first.result)


def test_a_damaged_answer_on_disk_is_computed_again_and_said_so(backend, monkeypatch, caplog):
    answered()
    (path,) = store().folder.glob("*.answer")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    restart(monkeypatch)
    again = answered()
    assert backend.computed == ["hello", "hello"]
    assert same(again.result, answer_to(5))
    assert "checksum" in caplog.text
    restart(monkeypatch)
    answered()
    assert backend.computed == ["hello", "hello"]


def test_other_weights_in_the_folder_mean_another_answer(backend):
    answered()
    backend.weights, backend.files = "weights 2", "files 2"
    assert jobs.submit(question()).state != "done"
    answered()
    assert backend.computed == ["hello", "hello"]
    backend.weights, backend.files = "weights 1", "files 1"
    answered()
    assert backend.computed == ["hello", "hello"]


def test_files_touched_but_not_changed_cost_no_computation(backend):
    answered()
    backend.files = "touched"
    answered()
    assert backend.computed == ["hello"]
    assert jobs.submit(question()).state == "done"


def test_an_answer_computed_while_the_files_changed_is_given_but_not_kept(backend, caplog):
    def swap(progress):
        backend.files = "files 2"

    backend.meanwhile = swap
    assert answered().state == "done"
    assert "changed meanwhile" in caplog.text
    assert store().stats().memory_entries == store().stats().disk_entries == 0
    answered()
    assert backend.computed == ["hello", "hello"]


def test_a_model_that_went_missing_is_the_workers_to_explain(backend):
    answered()

    def gone(model):
        raise Error("the folder is gone; choose another model")

    backend.stamp = gone
    job = answered()
    assert (job.state, job.error) == ("failed", "the folder is gone; choose another model")


def test_a_failed_question_is_asked_again(backend):
    def fail(progress):
        raise Error("L9: this model has 6 layers")

    backend.meanwhile = fail
    assert answered().error == "L9: this model has 6 layers"
    backend.meanwhile = lambda progress: None
    assert answered().state == "done"
    assert backend.computed == ["hello", "hello"]


def test_an_abandoned_question_is_not_kept_and_asked_again(backend):
    begun = threading.Event()

    def wait_for_cancel(progress):
        begun.set()
        while True:
            progress.check()

    backend.meanwhile = wait_for_cancel
    job = jobs.submit(question())
    assert begun.wait(LONG)
    job.cancel()
    backend.meanwhile = lambda progress: None
    again = answered()
    assert (job.state, again.state) == ("cancelled", "done")
    assert backend.computed == ["hello", "hello"]


def test_answers_are_shared_so_nobody_can_write_into_them(backend):
    with pytest.raises(ValueError, match="read-only"):
        answered().result.pattern[0, 0] = 1


def test_a_click_is_answered_while_a_gallery_is_built(backend):
    def build(progress):
        click = jobs.submit(question())
        progress.step(0.5)
        return click.state

    gallery = jobs.run("gallery", build, bulk=True)
    assert gallery.wait(LONG)
    assert gallery.result == "done"


def test_the_notes_are_bounded(monkeypatch):
    monkeypatch.setattr("core.answers.MAX_NOTES", 3)
    notes = Notes()
    for i in range(5):
        notes.add(str(i), "stamp", "key")
    assert [notes.get(str(i)) is None for i in range(5)] == [True, True, False, False, False]


def test_a_download_belongs_to_the_job_that_shows_and_stops_it(backend):
    begun = threading.Event()

    def slow(model, progress):
        progress.step(0.5, "fetching")
        begun.set()
        while True:
            progress.check()

    backend.fetch = slow
    job = jobs.submit(question())
    assert begun.wait(LONG)
    assert job.note == "fetching"
    job.cancel()
    assert job.state == "cancelled"
    assert backend.computed == []


def test_an_answer_about_two_models_is_asked_again_when_either_changes(backend):
    request = replace(question(), options=(("other", "second"),))
    stamps = {"embedded": "files 1", "second": "files 1"}
    backend.stamp = lambda model: stamps[model.name]
    for computed, changed in ((1, None), (1, None), (2, "second"), (3, "embedded")):
        if changed:
            stamps[changed], backend.weights = f"{changed} 2", f"weights of {changed} 2"
        job = jobs.submit(request)
        assert job.wait(LONG)
        assert jobs.run("after", lambda progress: None).wait(LONG)
        assert job.state == "done"
        assert len(backend.computed) == computed
