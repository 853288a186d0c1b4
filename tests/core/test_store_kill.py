"""A process killed while it writes leaves right answers or none.

Run as a program, this file is the process that is killed: a parent that has everything
imported and forks a writer for each number it reads, so that a kill costs milliseconds.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.store import Store
from tests.core.standins import answer_to, key_of, same

PER_WRITER = 1_000
SIDE = 400  # 160 kB each, so that a writer spends its time writing
DISK = 2_000_000_000


def write_forever(folder: Path, writer: int) -> None:
    store = Store(folder, memory_bytes=0, disk_bytes=DISK)
    for i in range(PER_WRITER):
        number = writer * PER_WRITER + i
        store.put(key_of(number), answer_to(number, side=SIDE))


def say(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def fork_writers(folder: Path) -> None:
    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            write_forever(folder, int(line))
            os._exit(0)
        say(process)
        _, status = os.waitpid(process, 0)
        say(os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0)


@contextmanager
def parent_of_writers(folder: Path) -> Iterator[subprocess.Popen]:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.core.test_store_kill", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        yield parent
        parent.stdin.close()


def wait_for_more(folder: Path, than: int) -> None:
    """Until more answers than that are there: the writer is at work."""
    deadline = time.monotonic() + 20
    while len(list(folder.glob("*.answer"))) <= than:
        assert time.monotonic() < deadline, "the writer writes nothing"
        time.sleep(0.001)


def kill_writers(folder: Path, kills: int) -> int:
    """Kill that many writers at random moments; the number that left a half-written file."""
    seeded, halves = random.Random(7), set()
    with parent_of_writers(folder) as parent:
        for writer in range(kills):
            print(writer, file=parent.stdin, flush=True)
            before = len(list(folder.glob("*.answer")))
            process = int(parent.stdout.readline())
            wait_for_more(folder, than=before)
            time.sleep(seeded.uniform(0.0, 0.03))
            os.kill(process, signal.SIGKILL)
            assert int(parent.stdout.readline()) == signal.SIGKILL
            halves |= set(folder.glob(".*.part"))
    return len(halves)


def read_all(folder: Path, kills: int) -> tuple[int, int]:
    """(answers that are right, answers that are wrong) of all that may have been written."""
    store = Store(folder, memory_bytes=0, disk_bytes=DISK)
    right = wrong = 0
    present = {path.stem for path in folder.glob("*.answer")}
    for number in range(kills * PER_WRITER):
        if (key := key_of(number)) in present:
            present.remove(key)
            found = store.get(key)
            if found is not None and same(found, answer_to(number, side=SIDE)):
                right += 1
            else:
                wrong += 1
    return right, wrong + len(present)


def kill_and_read(folder: Path, kills: int) -> None:
    halves = kill_writers(folder, kills)
    right, wrong = read_all(folder, kills)
    assert wrong == 0
    assert right >= kills
    assert halves >= 1, "no kill came in the middle of a write; the test shows nothing"
    store = Store(folder, memory_bytes=0, disk_bytes=DISK)
    assert (store.stats().disk_entries, store.stats().damaged) == (right, 0)
    assert list(folder.glob(".*.part")) == []


def test_twenty_kills_leave_no_wrong_answer(tmp_path):
    kill_and_read(tmp_path, 20)


@pytest.mark.slow
def test_two_hundred_kills_leave_no_wrong_answer(tmp_path):
    kill_and_read(tmp_path, 200)


if __name__ == "__main__":
    fork_writers(Path(sys.argv[1]))
