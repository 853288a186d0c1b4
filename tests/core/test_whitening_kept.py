"""Spectra of large unembeddings on disk: found again, made again when damaged, few at a time."""

import numpy as np
import pytest

from core import api
from core.analyses import whitening_kept
from core.analyses.whitening import unembedding
from core.analyses.whitening_kept import MOST, folder, kept


def spectrum(seed: int = 0, d: int = 5):
    rng = np.random.default_rng(seed)
    return rng.normal(size=d), rng.random(d), rng.normal(size=(d, d)), 40


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whitening_kept, "LARGE", 0.0)


def never():
    raise AssertionError("made a second time")


def same(one, other) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_small_ones_leave_no_file():
    kept("a" * 64, 5, 40, spectrum)
    assert not folder().exists()


def test_a_large_one_is_made_once(large):
    first = kept("a" * 64, 5, 40, spectrum)
    assert same(kept("a" * 64, 5, 40, never), first)
    other = kept("b" * 64, 5, 40, lambda: spectrum(1))
    assert not same(other, first)


@pytest.mark.parametrize("damage", [b"", b"no archive", None])
def test_a_damaged_file_is_made_again(large, damage):
    first = kept("a" * 64, 5, 40, spectrum)
    (path,) = folder().glob("*.npz")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    assert same(kept("a" * 64, 5, 40, spectrum), first)
    assert same(kept("a" * 64, 5, 40, never), first)


def test_the_file_of_another_width_is_not_taken(large):
    kept("a" * 64, 5, 40, spectrum)
    assert len(kept("a" * 64, 6, 40, lambda: spectrum(d=6))[0]) == 6


def test_few_files_are_kept_and_none_half_written(large):
    for number in range(MOST + 3):
        kept(f"{number:064d}", 5, 40, spectrum)
    assert len(list(folder().iterdir())) == MOST


def test_a_disk_that_refuses_changes_nothing(large, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EIDOSCOPE_HOME", str(tmp_path / "file"))
    assert same(kept("a" * 64, 5, 40, spectrum), spectrum())


def test_a_model_whitened_from_disk_gives_the_same_numbers(large, monkeypatch):
    m = api.load("embedded", device="cpu")
    m.memo.pop("unembedding", None)
    first = unembedding(m)
    m.memo.pop("unembedding")
    monkeypatch.setattr("core.analyses.whitening._spectrum", never)
    again = unembedding(m)
    m.memo.pop("unembedding")
    assert np.array_equal(first.white.inverse, again.white.inverse)
    assert np.array_equal(first.white.spectrum, again.white.spectrum)
