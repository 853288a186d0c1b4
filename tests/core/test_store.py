"""The store: right or absent, bounded, shared, and quiet about a disk that refuses."""

import errno
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from core.analyses.table import ANALYSES
from core.results import table
from core.results.base import Result
from core.results.packed import pack, size, unpack
from core.results.table import RESULTS, result_class
from core.spec.errors import Error
from core.store import HOST, STALE_SECONDS, Store, store
from tests.core.standins import answer_to, key_of, same

KEY = key_of(1)
MB = 1_000_000


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "store"


def fresh(folder, memory=10 * MB, disk=100 * MB) -> Store:
    """A store as a new process would have it."""
    return Store(folder, memory, disk)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_was_put_is_got_from_memory_and_in_another_process_from_disk(folder):
    here = fresh(folder)
    assert here.get(KEY) is None
    result = answer_to(1)
    here.put(KEY, result)
    assert here.get(KEY) is result
    there = fresh(folder)
    assert same(there.get(KEY), result)
    assert there.get(KEY) is there.get(KEY)
    counts = there.stats()
    assert (counts.disk_hits, counts.memory_hits, counts.misses) == (1, 2, 0)
    assert names(folder) == [f"{KEY}.answer"]


@dataclass(frozen=True)
class Odd(Result):
    """Everything a result may hold that is easily lost."""

    name: ClassVar[str] = "odd"
    sentence: str
    nested: tuple[tuple[str, ...], ...]
    number: float
    scores: dict[str, np.ndarray]
    words: np.ndarray
    empty: np.ndarray
    whole: np.ndarray
    scalar: np.ndarray


def test_nothing_of_a_result_is_lost_on_disk(folder, monkeypatch):
    monkeypatch.setitem(table.RESULTS, "odd", Odd)
    odd = Odd(
        request={"prompts": ["<b>\x00"], "options": {"layer": None}},
        sentence="lone \ud800, line\nbreak, 雪",
        nested=(("a", ""), ()),
        number=float("inf"),
        scores={"previous_token": np.eye(2, dtype=np.float16), "a/b": np.arange(2)},
        words=np.array([["雪", ""]]),
        empty=np.zeros((0, 3), np.float32),
        whole=np.asfortranarray(np.arange(6, dtype=np.int64).reshape(2, 3)),
        scalar=np.array(3.5),
    )
    fresh(folder).put(KEY, odd)
    assert same(fresh(folder).get(KEY), odd)


def test_every_kind_of_answer_can_be_stored():
    assert RESULTS.keys() >= ANALYSES.keys()
    for name, kind in RESULTS.items():
        assert result_class(name) is kind
        assert kind.name == name
    with pytest.raises(Error, match="no answers of kind 'lense'"):
        result_class("lense")


@pytest.mark.parametrize("place", [0, 20, 60, 200, -1])
def test_one_flipped_bit_anywhere_makes_the_answer_absent_and_is_logged(folder, place, caplog):
    fresh(folder).put(KEY, answer_to(1))
    path = folder / f"{KEY}.answer"
    data = bytearray(path.read_bytes())
    data[place] ^= 0b100
    path.write_bytes(data)
    there = fresh(folder)
    assert there.get(KEY) is None
    assert not path.exists()
    assert KEY[:12] in caplog.text
    assert there.stats().damaged == 1
    there.put(KEY, answer_to(1))
    assert same(fresh(folder).get(KEY), answer_to(1))


def test_a_file_cut_short_anywhere_is_absent(folder):
    whole = pack(KEY, answer_to(1))
    folder.mkdir()
    for length in (0, 5, 19, 50, 60, len(whole) // 2, len(whole) - 1):
        (folder / f"{KEY}.answer").write_bytes(whole[:length])
        assert fresh(folder).get(KEY) is None


def test_an_answer_under_another_questions_name_is_not_believed(folder):
    fresh(folder).put(KEY, answer_to(1))
    (folder / f"{KEY}.answer").rename(folder / f"{key_of(2)}.answer")
    assert fresh(folder).get(key_of(2)) is None


def test_an_answer_of_a_kind_or_shape_this_version_lacks_is_absent(folder, monkeypatch):
    fresh(folder).put(KEY, answer_to(1))
    monkeypatch.delitem(table.RESULTS, "attention")
    assert fresh(folder).get(KEY) is None


def test_a_class_that_could_not_be_read_back_is_not_written(folder):
    @dataclass(frozen=True)
    class Newer(type(answer_to(1))):
        pass

    with pytest.raises(ValueError, match="Newer is not what 'attention' is read back as"):
        fresh(folder).put(KEY, Newer(**vars(answer_to(1))))


def test_nothing_is_ever_pickled(folder):
    objects = answer_to(1)
    object.__setattr__(objects, "uniform", np.array([{"a": 1}], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        fresh(folder).put(KEY, objects)
    assert not folder.exists() or names(folder) == []


def test_a_pickle_with_a_right_checksum_is_not_opened(monkeypatch):
    honest = np.savez
    monkeypatch.setattr(np, "savez", lambda *a, **k: honest(*a, **{**k, "allow_pickle": True}))
    objects = answer_to(1)
    object.__setattr__(objects, "uniform", np.array([{"a": 1}], dtype=object))
    with pytest.raises(Error, match="allow_pickle=False"):
        unpack(KEY, pack(KEY, objects))


def test_arrays_handed_out_cannot_be_written(folder):
    here, result = fresh(folder), answer_to(1)
    here.put(KEY, result)
    for found in (result, here.get(KEY), fresh(folder).get(KEY)):
        for array in found.arrays().values():
            assert not array.flags.writeable


def test_a_key_that_is_no_hash_never_becomes_a_path(folder):
    for key in ("../../etc/passwd", "", "A" * 64, KEY + "\n", KEY[:-1]):
        with pytest.raises(ValueError, match="not a key"):
            fresh(folder).put(key, answer_to(1))
        with pytest.raises(ValueError, match="not a key"):
            fresh(folder).get(key)


def test_memory_lets_go_of_what_was_used_longest_ago(folder):
    one = size(answer_to(1, side=100))
    here = Store(folder, memory_bytes=3 * one + 1000, disk_bytes=0)
    for i in (1, 2, 3):
        here.put(key_of(i), answer_to(i, side=100))
    assert here.get(key_of(1)) is not None
    here.put(key_of(4), answer_to(4, side=100))
    assert [here.get(key_of(i)) is not None for i in (1, 2, 3, 4)] == [True, False, True, True]
    assert here.stats().memory_bytes <= 3 * one + 1000


def test_the_same_answer_twice_is_counted_once(folder):
    here = fresh(folder)
    for _ in range(3):
        here.put(KEY, answer_to(1))
    assert here.stats().memory_bytes == size(answer_to(1))
    assert here.stats().memory_entries == 1


def test_labels_count_towards_memory():
    long = answer_to(1)
    object.__setattr__(long, "tokens", tuple("a token " * 10 + str(i) for i in range(1000)))
    assert size(long) > size(answer_to(1)) + 100_000


def test_an_answer_larger_than_a_limit_is_not_held_there(folder):
    here = Store(folder, memory_bytes=5_000, disk_bytes=50_000)
    here.put(key_of(0), answer_to(0))
    here.put(key_of(1), answer_to(1, side=100))
    assert (here.stats().memory_entries, here.stats().disk_entries) == (1, 2)
    here.put(key_of(2), answer_to(2, side=1000))
    assert here.stats().disk_entries == 2
    assert here.get(key_of(2)) is None


def test_disk_lets_go_of_what_was_used_longest_ago(folder):
    data = len(pack(KEY, answer_to(1, side=100)))
    here = Store(folder, memory_bytes=0, disk_bytes=4 * data + 100)
    for i in (1, 2, 3, 4):
        here.put(key_of(i), answer_to(i, side=100))
        long_ago = time.time() - 1000 + i
        os.utime(folder / f"{key_of(i)}.answer", (long_ago, long_ago))
    assert here.get(key_of(1)) is not None  # used just now
    here.put(key_of(5), answer_to(5, side=100))
    assert {name[:64] for name in names(folder)} == {key_of(1), key_of(4), key_of(5)}
    stats = here.stats()
    assert (stats.disk_entries, stats.evicted, stats.disk_bytes) == (3, 2, 3 * data)


def test_an_answer_used_from_memory_stays_on_disk_too(folder):
    here = fresh(folder)
    here.put(KEY, answer_to(1))
    path = folder / f"{KEY}.answer"
    os.utime(path, (1, 1))
    assert here.get(KEY) is not None
    assert path.stat().st_mtime > 1


def test_what_other_processes_wrote_is_counted_in_time(folder, monkeypatch):
    monkeypatch.setattr("core.store.RECOUNT", 2)
    data = len(pack(KEY, answer_to(1, side=100)))
    mine, theirs = Store(folder, 0, 5 * data), Store(folder, 0, 100 * data)
    mine.put(key_of(0), answer_to(0, side=100))
    for i in range(1, 10):
        theirs.put(key_of(i), answer_to(i, side=100))
    for i in range(10, 13):
        mine.put(key_of(i), answer_to(i, side=100))
    assert len(names(folder)) <= 5


def test_temporary_files_of_the_dead_are_cleared_and_those_of_the_living_are_not(folder):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    fresh(folder).put(KEY, answer_to(1))
    of_dead = folder / f".{KEY}.{HOST}.{dead.pid}.0a.part"
    of_living = folder / f".{KEY}.{HOST}.{os.getppid()}.0b.part"
    of_elsewhere = folder / f".{KEY}.ffffffff.{dead.pid}.0c.part"
    old = folder / f".{KEY}.ffffffff.{dead.pid}.0d.part"
    for path in (of_dead, of_living, of_elsewhere, old):
        path.write_bytes(b"half")
    past = time.time() - STALE_SECONDS - 1
    os.utime(old, (past, past))
    fresh(folder).stats()
    assert [p.exists() for p in (of_dead, of_living, of_elsewhere, old)] == [0, 1, 1, 0]
    assert fresh(folder).stats().disk_entries == 1


def test_a_full_disk_is_logged_once_and_memory_goes_on(folder, monkeypatch, caplog):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    here = fresh(folder)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        patch.setattr("core.store.RETRY_SECONDS", 0.0)
        for i in range(3):
            here.put(key_of(i), answer_to(i))
        assert all(here.get(key_of(i)) for i in range(3))
        assert "No space left" in here.stats().fault
        assert len(caplog.records) == 1
        assert names(folder) == []  # no halves left behind
    here.put(key_of(9), answer_to(9))
    assert here.stats().fault == ""
    assert same(fresh(folder).get(key_of(9)), answer_to(9))


def test_a_refused_disk_is_left_alone_for_a_while(folder, monkeypatch):
    tries = []

    def refuse(descriptor):
        tries.append(1)
        raise OSError(errno.EROFS, "Read-only file system")

    here = fresh(folder)
    monkeypatch.setattr(os, "fsync", refuse)
    for i in range(3):
        here.put(key_of(i), answer_to(i))
    assert len(tries) == 1


def test_a_folder_that_cannot_be_made_costs_only_the_disk(tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    here = fresh(tmp_path / "file" / "store")
    here.put(KEY, answer_to(1))
    assert here.get(KEY) is not None
    assert here.get(key_of(2)) is None
    assert "kept in memory only" in here.stats().fault
    assert "kept in memory only" in caplog.text


def test_a_folder_removed_meanwhile_is_made_again(folder):
    here = fresh(folder)
    here.put(KEY, answer_to(1))
    (folder / f"{KEY}.answer").unlink()
    folder.rmdir()
    assert here.get(KEY) is not None
    here.put(key_of(2), answer_to(2))
    assert same(fresh(folder).get(key_of(2)), answer_to(2))


def test_clear_forgets_memory_and_disk(folder):
    here = fresh(folder)
    for i in range(3):
        here.put(key_of(i), answer_to(i))
    here.clear()
    assert all(here.get(key_of(i)) is None for i in range(3))
    stats = here.stats()
    assert (stats.memory_bytes, stats.disk_bytes, names(folder)) == (0, 0, [])


def test_threads_that_put_and_get_at_once_see_right_answers_only(folder):
    one = size(answer_to(20, side=50))
    here = Store(folder, memory_bytes=4 * one, disk_bytes=20 * one)
    wrong = []

    def work(seed):
        for i in range(60):
            number = 20 + (i * seed) % 12  # two digits each, so that all are equally large
            found = here.get(key_of(number))
            if found is None:
                here.put(key_of(number), answer_to(number, side=50))
            elif not same(found, answer_to(number, side=50)):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in (1, 5, 7, 11)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    stats = here.stats()
    assert wrong == []
    assert stats.damaged == 0
    assert stats.memory_bytes <= 4 * one
    assert stats.memory_hits + stats.disk_hits > 0
    assert stats.memory_bytes == stats.memory_entries * one


def test_the_process_has_one_store_in_its_home_with_limits_from_the_environment(monkeypatch):
    monkeypatch.setattr("core.store._stores", {})
    assert store() is store()
    assert (store().stats().memory_limit, store().stats().disk_limit) == (256 * MB, 2000 * MB)
    monkeypatch.setattr("core.store._stores", {})
    monkeypatch.setenv("EIDOSCOPE_STORE_MEMORY_MB", "12")
    assert store().stats().memory_limit == 12 * MB
    monkeypatch.setattr("core.store._stores", {})
    monkeypatch.setenv("EIDOSCOPE_STORE_DISK_MB", "two")
    with pytest.raises(Error, match="EIDOSCOPE_STORE_DISK_MB should be a whole number"):
        store()
