"""Galleries as files: cancelled, killed, a full disk, damage, a second process."""

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.analyses import feature_pass
from core.analyses.feature_gallery import growing, opened
from core.analyses.feature_list import feature_list
from core.analyses.gallery import gallery
from core.analyses.runs import Silent
from core.galleries import layout
from core.galleries.codes import Scratch
from core.galleries.reading import FeatureGallery, read
from core.models.loaded import Loaded
from core.spec.errors import Cancelled, Error
from tests.core.gallery_case import FAST, files, with_dictionary


class Dying(Silent):
    """Progress of a pass that is cancelled in front of its third batch."""

    def step(self, share: float, note: str = "") -> None:
        if "part 3 " in note:
            raise Cancelled


def test_a_cancelled_pass_is_gone_on_from_and_ends_with_the_same_bytes(
    llama: Loaded, monkeypatch: pytest.MonkeyPatch, own_home: Path
) -> None:
    monkeypatch.setitem(feature_pass.TOKENS_AT_ONCE, "cpu", 30)
    whole = opened(with_dictionary(llama), Silent(), **FAST)
    monkeypatch.setenv("EIDOSCOPE_HOME", str(own_home / "other"))
    monkeypatch.setattr(feature_pass, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(feature_pass, "CHECKPOINT_SHARE", 0.0)
    seen: list[FeatureGallery] = []
    with pytest.raises(Cancelled):
        opened(with_dictionary(llama), Dying(), **FAST, grown=seen.append)
    assert [g.partial for g in seen] == [True, True]
    left = growing(whole.key)
    assert left is not None
    assert left.partial
    assert 0 < left.manifest.share < 1
    assert 0 < left.n_tokens < whole.n_tokens
    assert left.codes is None
    assert (left.top.context[left.count > 0, 0] >= 0).all()
    # What was appended behind the checkpoint does not count.
    for path in Scratch(left.folder, left.n_features).paths():
        with path.open("ab") as file:
            file.write(b"behind the checkpoint")
    read_batches: list[int] = []
    plain = feature_pass.Build.read

    def counting(self: Any, number: int, *given: Any) -> None:
        read_batches.append(number)
        plain(self, number, *given)

    monkeypatch.setattr(feature_pass.Build, "read", counting)
    again = opened(with_dictionary(llama), Silent(), **FAST)
    assert read_batches[0] == 2
    assert files(again) == files(whole)
    assert growing(whole.key) is None
    assert os.listdir(own_home / "other" / "galleries") == [whole.key]


def test_a_process_that_is_killed_is_gone_on_from(own_home: Path) -> None:
    code = """
import os, sys
from core import api
from core.analyses import feature_pass
from core.analyses.feature_list import feature_list
from core.analyses.gallery import gallery
from core.analyses.runs import Silent
from core.analyses.feature_gallery import opened
from tests.core.conftest import STORIES
from tests.core.test_feature_gallery import FAST, with_dictionary
feature_pass.TOKENS_AT_ONCE["cpu"] = 30
feature_pass.CHECKPOINT_SECONDS = feature_pass.CHECKPOINT_SHARE = 0.0
class Slow(Silent):
    def step(self, share, note=""):
        print(note, flush=True)
        if sys.argv[1] == "slow" and "part 3 " in note:
            sys.stdin.read()
m = with_dictionary(api.load(STORIES, device="cpu"))
opened(m, Slow(), **FAST)
"""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code]
    with subprocess.Popen(
        [*command, "slow"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as victim:
        assert victim.stdout is not None
        for line in victim.stdout:
            if b"part 3 " in line:
                break
        victim.send_signal(signal.SIGKILL)
    (part,) = (own_home / "galleries").glob(".*.part")
    assert read(part).partial
    done = subprocess.run(
        [*command, "on"], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.startswith("reading pasted text, part 3 ")
    (folder,) = (path for path in (own_home / "galleries").iterdir() if path.is_dir())
    resumed = files(read(folder))
    other = {**environment, "EIDOSCOPE_HOME": str(own_home / "other")}
    subprocess.run([*command, "on"], capture_output=True, check=True, env=other)
    assert files(read(own_home / "other" / "galleries" / folder.name)) == resumed


def test_a_full_disk_is_one_sentence_and_leaves_nothing(
    llama: Loaded, monkeypatch: pytest.MonkeyPatch, own_home: Path
) -> None:
    plain = Scratch.append

    def on_a_full_disk(self: Scratch, found: Any) -> None:
        path = self.paths()[2]
        if not path.exists():
            path.symlink_to("/dev/full")  # accepts nothing: a disk without space
        plain(self, found)

    monkeypatch.setattr(Scratch, "append", on_a_full_disk)
    with pytest.raises(Error, match=r"is full.*free some space"):
        opened(with_dictionary(llama), Silent(), **FAST)
    assert os.listdir(own_home / "galleries") == []
    monkeypatch.setattr(Scratch, "append", plain)
    assert opened(with_dictionary(llama), Silent(), **FAST).count.any()


def test_a_full_disk_is_met_before_a_memory_map_is_written(
    llama: Loaded, monkeypatch: pytest.MonkeyPatch, own_home: Path
) -> None:
    def full(*given: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(Error, match="is full"):
        opened(with_dictionary(llama), Silent(), **FAST)
    assert os.listdir(own_home / "galleries") == []


def test_a_home_that_cannot_be_written_is_one_sentence(
    llama: Loaded, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EIDOSCOPE_HOME", str(tmp_path / "file"))
    with pytest.raises(Error, match="cannot be kept in"):
        opened(with_dictionary(llama), Silent(), **FAST)


@pytest.mark.parametrize("damage", ["version", "field", "manifest", "stats", "pieces"])
def test_a_gallery_of_another_version_or_damaged_is_refused_and_made_again(
    llama: Loaded, damage: str
) -> None:
    first = opened(with_dictionary(llama), Silent(), **FAST)
    wanted = files(first)
    path = first.folder / layout.MANIFEST
    plain = json.loads(path.read_text())
    match damage:
        case "version":
            path.write_text(json.dumps({**plain, "version": 0}))
        case "field":
            path.write_text(json.dumps({key: plain[key] for key in ("version", "key")}))
        case "manifest":
            path.write_text("{")
        case "stats":
            (first.folder / layout.STATS).write_bytes(b"not tensors")
        case "pieces":
            (first.folder / layout.PIECES).unlink()
    with pytest.raises(Error, match=r"version|damaged|not JSON"):
        read(first.folder)
    again = opened(with_dictionary(llama), Silent(), **FAST)
    assert files(again) == wanted


def test_what_there_is_so_far_is_published(llama: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(feature_pass.TOKENS_AT_ONCE, "cpu", 30)
    monkeypatch.setattr(feature_pass, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(feature_pass, "CHECKPOINT_SHARE", 0.0)
    seen: list[Any] = []

    class Watched(Silent):
        def publish(self, partial: object) -> None:
            seen.append(partial)

    whole = gallery(with_dictionary(llama), Watched(), **FAST)
    shares = [part.share for part in seen]
    assert len(shares) > 2
    assert shares == sorted(shares)
    assert 0 < shares[0] < shares[-1] < whole.share == 1
    assert seen[0].n_tokens < whole.n_tokens
    assert (seen[-1].count <= whole.count).all()


def test_cards_of_what_there_is_so_far_are_published(
    llama: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(feature_pass.TOKENS_AT_ONCE, "cpu", 30)
    monkeypatch.setattr(feature_pass, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(feature_pass, "CHECKPOINT_SHARE", 0.0)
    seen: list[Any] = []

    class Watched(Silent):
        def publish(self, partial: object) -> None:
            seen.append(partial)

    whole = feature_list(with_dictionary(llama), Watched(), **FAST, sort="density")
    assert 0 < seen[0].share < seen[-1].share < whole.share == 1
    assert 0 < seen[0].n_tokens < whole.n_tokens
    assert len(seen[-1].peaks) == len(seen[-1].features) > 0


def test_a_second_process_waits_and_may_be_cancelled(llama: Loaded, own_home: Path) -> None:
    first = opened(with_dictionary(llama), Silent(), **FAST)
    waited: list[int] = []

    def check() -> None:
        waited.append(1)
        raise Cancelled

    with layout.making(first.folder, lambda: None) as part:
        assert part.is_dir()
        with pytest.raises(Cancelled), layout.making(first.folder, check):
            pytest.fail("two processes at once")
    assert waited


def test_only_finished_galleries_make_room_for_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = {}
    for age, name in enumerate(("newest", "old", ".growing.part")):
        made[name] = tmp_path / name
        made[name].mkdir()
        (made[name] / "numbers").write_bytes(bytes(100))
        os.utime(made[name], (1_000_000 - age, 1_000_000 - age))
    monkeypatch.setattr(layout, "MAX_DISK", 150)
    layout.trim(made["newest"])
    assert [name for name, place in made.items() if place.exists()] == ["newest", ".growing.part"]
