"""Work in the queue: order, sharing, giving way, cancelling, and what faults become."""

import logging
import random
import subprocess
import sys
import threading
import time
import timeit
from collections import Counter

import pytest

from core import jobs
from core.queue import Progress, Work
from core.spec.errors import Cancelled, Error

LONG = 10.0  # seconds no test comes near unless something hangs


@pytest.fixture(autouse=True)
def own_worker(monkeypatch):
    monkeypatch.setattr("core.worker._workers", {})
    yield
    assert jobs.cancel_all(LONG), "the worker does not come to rest"


class Gate:
    """Work that says it has begun and goes on when let; it checks whether it is still wanted."""

    def __init__(self):
        self.begun, self.open, self.stopped = (threading.Event() for _ in range(3))

    def __call__(self, progress):
        self.begun.set()
        try:
            while not self.open.wait(0.005):
                progress.check()
        except Cancelled:
            self.stopped.set()
            raise
        return "through"


@pytest.fixture
def held():
    """The worker kept busy by work that waits at its gate."""
    gate = Gate()
    jobs.run("holding", gate)
    assert gate.begun.wait(LONG)
    return gate


def test_work_is_done_in_another_thread_and_its_answer_delivered():
    job = jobs.run("thread", lambda progress: threading.current_thread().name)
    assert job.wait(LONG)
    assert (job.state, job.finished, job.error) == ("done", True, "")
    assert job.result == "eidoscope-device"


def test_asked_for_now_goes_before_bulk_and_else_first_come_first_served(held):
    order = []
    waiting = [
        jobs.run(name, lambda progress, name=name: order.append(name), bulk=name.startswith("bulk"))
        for name in ("bulk 1", "now 1", "bulk 2", "now 2", "now 3")
    ]
    held.open.set()
    assert all(job.wait(LONG) for job in waiting)
    assert order == ["now 1", "now 2", "now 3", "bulk 1", "bulk 2"]


def test_bulk_work_gives_way_at_a_step_but_not_at_a_check():
    order = []

    def bulk(progress):
        click = jobs.run("click", lambda progress: order.append("click"))
        progress.check()
        order.append("after check")
        progress.step(0.5)
        order.append(f"after step, click {click.state}")

    assert jobs.run("gallery", bulk, bulk=True).wait(LONG)
    assert order == ["after check", "click", "after step, click done"]


def test_work_that_is_not_bulk_does_not_give_way():
    order = []

    def work(progress):
        jobs.run("click", lambda progress: order.append("click"))
        progress.step(0.5)
        order.append("work")

    assert jobs.run("work", work).wait(LONG)
    assert jobs.run("later", lambda progress: None).wait(LONG)
    assert order == ["work", "click"]


def test_a_fault_in_a_click_does_not_touch_the_bulk_work_it_interrupts():
    def fail(progress):
        raise KeyError("lost")

    def bulk(progress):
        click = jobs.run("click", fail)
        progress.step(0.5)
        return click.state

    job = jobs.run("gallery", bulk, bulk=True)
    assert job.wait(LONG)
    assert (job.state, job.result) == ("done", "failed")


def test_bulk_work_somebody_now_waits_for_moves_up(held):
    order = []
    first = jobs.run("first", lambda progress: order.append("first"), bulk=True, key="first")
    second = jobs.run("second", lambda progress: order.append("second"), bulk=True, key="second")
    assert [view.label for view in jobs.snapshot()] == ["holding", "first", "second"]
    again = jobs.run("second", lambda progress: order.append("twice"), key="second")
    held.open.set()
    assert first.wait(LONG)
    assert second.wait(LONG)
    assert again.wait(LONG)
    assert order == ["second", "first"]


def test_the_snapshot_shows_what_works_and_what_waits_in_order():
    gate = Gate()

    def work(progress):
        progress.step(0.25, "layer 1 of 4")
        gate(progress)

    jobs.run("working", work)
    assert gate.begun.wait(LONG)
    jobs.run("gallery", lambda progress: None, bulk=True)
    jobs.run("lens", lambda progress: None)
    working, *waiting = jobs.snapshot()
    gate.open.set()
    assert (working.label, working.state, working.share) == ("working", "working", 0.25)
    assert working.note == "layer 1 of 4"
    assert 0 < working.seconds < LONG
    assert [(view.label, view.state, view.bulk, view.seconds) for view in waiting] == [
        ("lens", "queued", False, 0.0),
        ("gallery", "queued", True, 0.0),
    ]


def test_first_parts_of_an_answer_are_seen_by_every_holder():
    gate = Gate()

    def work(progress):
        progress.publish(("Once", "upon"))
        return gate(progress)

    one = jobs.run("steer", work, key="same")
    assert gate.begun.wait(LONG)
    two = jobs.run("steer", work, key="same")
    assert one.partial == two.partial == ("Once", "upon")
    assert one.state == two.state == "working"
    gate.open.set()
    assert one.wait(LONG)
    assert two.wait(LONG)
    assert one.result == two.result == "through"


def test_cancel_stops_running_work_within_a_second_and_is_no_fault(caplog):
    gate = Gate()
    job = jobs.run("long", gate)
    assert gate.begun.wait(LONG)
    job.cancel()
    assert job.state == "cancelled"
    assert job.finished
    assert job.wait(0)
    assert gate.stopped.wait(1.0)
    assert jobs.cancel_all(LONG)
    assert caplog.text == ""


def test_work_goes_on_while_a_holder_is_left():
    gate = Gate()
    one, two = jobs.run("shared", gate, key="same"), jobs.run("shared", gate, key="same")
    assert gate.begun.wait(LONG)
    one.cancel()
    one.cancel()
    assert (one.state, two.state) == ("cancelled", "working")
    assert one.wait(0)
    assert not two.wait(0.05)
    gate.open.set()
    assert two.wait(LONG)
    assert (one.state, two.state, two.result) == ("cancelled", "done", "through")


def test_work_cancelled_in_the_queue_never_runs(held):
    ran = []
    job = jobs.run("unwanted", lambda progress: ran.append(1))
    job.cancel()
    assert [view.label for view in jobs.snapshot()] == ["holding"]
    held.open.set()
    assert jobs.run("after", lambda progress: None).wait(LONG)
    assert job.state == "cancelled"
    assert ran == []


def test_who_asks_again_after_a_cancel_gets_new_work_not_the_dying_one():
    begun, deaf = threading.Event(), threading.Event()

    def dying(progress):
        begun.set()
        deaf.wait(LONG)  # does not look whether it is wanted
        progress.check()

    first = jobs.run("again", dying, key="same")
    assert begun.wait(LONG)
    first.cancel()
    gate = Gate()
    second = jobs.run("again", gate, key="same")
    assert second.state == "queued"
    deaf.set()
    assert gate.begun.wait(LONG)
    third = jobs.run("again", lambda progress: "computed twice", key="same")
    gate.open.set()
    assert third.wait(LONG)
    assert (first.state, second.state) == ("cancelled", "done")
    assert third.result == second.result == "through"


def test_cancelling_finished_work_changes_nothing():
    job = jobs.run("quick", lambda progress: 7)
    assert job.wait(LONG)
    job.cancel()
    assert (job.state, job.result) == ("done", 7)


def test_five_hundred_random_cancels_leave_no_work_stuck():
    asked, stopped_midway, never = [], [], threading.Event()

    def work(progress):
        try:
            for i in range(5):
                never.wait(0.0003)
                progress.step(i / 5)
        except Cancelled:
            stopped_midway.append(1)
            raise
        return "done"

    def ask_and_cancel(seed):
        mine = random.Random(seed)
        for _ in range(175):
            job = jobs.run("fast", work, key=f"key {mine.randrange(8)}", bulk=mine.random() < 0.3)
            asked.append(job)
            if mine.random() < 0.5:
                job.wait(mine.random() * 0.003)
            if mine.random() < 0.8:
                job.cancel()

    threads = [threading.Thread(target=ask_and_cancel, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    assert all(job.wait(LONG) for job in asked)
    ends = Counter(job.state for job in asked)
    assert ends.keys() == {"done", "cancelled"}
    assert ends.total() == 700
    assert ends["cancelled"] >= 500
    assert len(stopped_midway) >= 5
    assert all(job.result == "done" for job in asked if job.state == "done")
    after = jobs.run("after", lambda progress: "alive")
    assert after.wait(LONG)
    assert after.result == "alive"
    assert jobs.cancel_all(LONG)
    assert jobs.snapshot() == []


def test_cancel_all_stops_what_runs_and_what_waits(held):
    waiting = [jobs.run(str(i), lambda progress: None, bulk=i % 2 == 0) for i in range(4)]
    assert jobs.cancel_all(LONG)
    assert held.stopped.is_set()
    assert {job.state for job in waiting} == {"cancelled"}
    assert all(job.wait(0) for job in waiting)


class OutOfMemoryError(RuntimeError):
    """Named like torch's."""


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (Error("L9.head[3]: this model has 6 layers"), "L9.head[3]: this model has 6 layers"),
        (MemoryError(), "There was not enough memory for this; shorten the text"),
        (OutOfMemoryError("CUDA out of memory"), "There was not enough memory for this"),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
            "There was not enough memory for this",
        ),
    ],
)
def test_a_fault_meant_for_people_becomes_its_sentence(fault, sentence, caplog):
    def work(progress):
        raise fault

    job = jobs.run("work", work)
    assert job.wait(LONG)
    assert job.state == "failed"
    assert job.result is None
    assert job.error.startswith(sentence)
    assert job.error_id == ""
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("fault", [ZeroDivisionError, RuntimeError, SystemExit, KeyboardInterrupt])
def test_any_other_fault_becomes_an_id_and_a_traceback_and_the_worker_lives(fault, caplog):
    def work_that_breaks(progress):
        raise fault("secret detail")

    job = jobs.run("work", work_that_breaks)
    assert job.wait(LONG)
    assert job.state == "failed"
    assert job.error == f"Something went wrong (id {job.error_id}); the log has the details."
    assert len(job.error_id) == 8
    assert job.error_id in caplog.text
    assert "work_that_breaks" in caplog.text
    assert "secret detail" in caplog.text
    after = jobs.run("after", lambda progress: "alive")
    assert after.wait(LONG)
    assert after.result == "alive"


def test_failed_work_is_not_remembered():
    tries = []

    def work(progress):
        tries.append(1)
        if len(tries) == 1:
            raise Error("not now")
        return "now"

    first = jobs.run("work", work, key="same")
    assert first.wait(LONG)
    second = jobs.run("work", work, key="same")
    assert second.wait(LONG)
    assert (first.state, second.state, second.result) == ("failed", "done", "now")


def test_work_in_the_worker_that_waits_for_other_work_fails_instead_of_hanging(caplog):
    def work(progress):
        jobs.run("other", lambda progress: None).wait(LONG)

    job = jobs.run("work", work)
    assert job.wait(LONG)
    assert job.state == "failed"
    assert "cannot wait for other work" in caplog.text


def test_a_fault_after_the_answer_was_delivered_is_only_logged(caplog):
    caplog.set_level(logging.ERROR, "eidoscope")

    def work(progress):
        progress.afterwards.append(lambda: 1 / 0)
        return "answer"

    job = jobs.run("work", work)
    assert job.wait(LONG)
    assert job.result == "answer"
    assert jobs.run("after", lambda progress: None).wait(LONG)
    assert "ZeroDivisionError" in caplog.text


def test_the_share_stays_between_nothing_and_all():
    work = Work("key", "label", None)
    progress = Progress(work, lambda: None)
    for given, shown in ((-1.0, 0.0), (0.5, 0.5), (7.0, 1.0)):
        progress.step(given)
        assert work.share == shown


def test_the_time_of_finished_work_stands_still():
    job = jobs.run("work", lambda progress: time.monotonic())
    assert job.wait(LONG)
    seconds = job.seconds
    assert 0 < seconds < LONG
    assert time.monotonic() > job.result
    assert job.seconds == seconds


def test_a_check_costs_less_than_a_microsecond():
    progress = Progress(Work("key", "label", None), lambda: None)
    assert min(timeit.repeat(progress.check, number=10_000, repeat=5)) / 10_000 < 1e-6


def test_asking_for_work_imports_neither_torch_nor_pandas():
    code = "import sys, core.jobs; print([m for m in ('torch', 'pandas') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
