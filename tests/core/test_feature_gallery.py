"""One pass for all features: against brute force, cut anyhow, killed, with a full disk, damaged."""

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core import api
from core.analyses import feature_pass
from core.analyses.feature_gallery import growing, opened
from core.analyses.gallery import gallery
from core.analyses.runs import Silent
from core.corpus.chunks import contexts
from core.engine.forward import run
from core.engine.rows import rows as batch
from core.galleries import layout
from core.galleries.codes import Scratch
from core.galleries.reading import FeatureGallery, read
from core.models.loaded import Loaded
from core.spec.errors import Cancelled, Error
from kernels.feature_topk import Activation
from tests.core.feature_models import carrying, dictionary

CORPUS = (
    "Yesterday Tom walked to the old house. Then he opened the door and saw a cat.",
    "The red cat and the blue dog play in the garden near the river.",
    "Anna has three apples. She gives one apple to Tom and keeps two.",
    "In London the rain falls all day. In Paris the sun shines all day.",
    "A dog.",
    "Tom saw a cat and Anna saw a dog; then the rain fell on London and on the old house.",
)
FAST: dict[str, Any] = {"corpus": CORPUS, "window": 64, "dictionary": "made"}
TOPK = Activation("topk", k=4)


@pytest.fixture(autouse=True)
def own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("EIDOSCOPE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def with_dictionary(m: Loaded, at: str = "L1.resid_post", **parts: Any) -> Loaded:
    return carrying(m, dictionary(m, at, **{"n": 40, "act": TOPK, **parts}))


def all_activations(m: Loaded, **options: Any) -> tuple[np.ndarray, np.ndarray]:
    """Activations [token, feature] of all tokens in order, and which count; one text at a time."""
    made = contexts(m, CORPUS, window=64)
    own = m.dictionaries["made"]
    found, keep = [], []
    for window in made.windows:
        seen = run(m, batch(m, [window.ids]), read=[own.site], logits="none", **options)
        found.append(own.encode(seen.values[own.site][0]).detach().numpy())
        keep += window.keep
    return np.concatenate(found), np.array(keep)


@pytest.mark.parametrize(
    ("family", "at"),
    [
        ("llama", "L1.resid_post"),
        ("gpt2", "L0.mlp_out"),
        ("bert", "L1.head"),
        ("llama", "L0.neuron"),
    ],
)
def test_what_is_kept_is_that_of_all_tokens_one_by_one(
    tiny: Callable[[str], Path], family: str, at: str
) -> None:
    m = with_dictionary(api.load(tiny(family), device="cpu"), at)
    g = opened(m, Silent(), **FAST)
    values, keep = all_activations(m)
    live = np.where(keep[:, None], values, 0)
    assert (g.text.keep == keep).all()
    assert g.n_tokens == keep.sum()
    np.testing.assert_array_equal(g.count, (live > 0).sum(0))
    np.testing.assert_allclose(g.total, live.sum(0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(g.squares, (live**2).sum(0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(g.max, live.max(0), rtol=1e-4, atol=1e-6)
    for half in (0, 1):
        np.testing.assert_array_equal(
            g.half_count[half], (live[g.text.token_half == half] > 0).sum(0)
        )
    in_contexts = np.stack([live[g.text.context == c].max(0) > 0 for c in range(g.n_contexts)]).sum(
        0
    )
    np.testing.assert_array_equal(g.contexts_fired, in_contexts)
    assert (g.by_position.sum(1) == g.count).all()
    assert g.position_tokens.sum() == g.n_tokens
    for feature in range(g.n_features):
        assert g.counts(feature).sum() == g.count[feature]
        token, value = g.need_codes().of_feature(feature)
        np.testing.assert_array_equal(token, live[:, feature].nonzero()[0])
        np.testing.assert_allclose(value, live[token, feature], rtol=2e-3, atol=1e-6)
    rows = g.need_codes().of_tokens(5, 20)
    dense = np.zeros((15, g.n_features))
    dense[np.repeat(np.arange(15), np.diff(rows.start)), rows.feature] = rows.value
    np.testing.assert_allclose(dense, live[5:20], rtol=2e-3, atol=1e-6)


def test_every_listed_entry_is_where_it_says(llama: Loaded) -> None:
    m = with_dictionary(llama)
    g = opened(m, Silent(), **FAST)
    values, keep = all_activations(m)
    values = np.where(keep[:, None], values, 0)
    for name in ("top", "band", "sample", "weighted"):
        listed = getattr(g, name)
        feature, *_ = np.indices(listed.value.shape)
        there = listed.context >= 0
        token = g.text.token(listed.context[there], listed.position[there])
        assert there.any()
        np.testing.assert_allclose(
            listed.value[there], values[token, feature[there]], rtol=2e-3, atol=1e-6
        )
    peaks = np.stack([values[g.text.context == c].max(0) for c in range(g.n_contexts)])
    np.testing.assert_allclose(g.top.value[:, 0], peaks.max(0), rtol=2e-3)
    assert (np.diff(g.top.value, axis=1) <= 0).all()
    share = g.band.value / np.maximum(g.max, 1e-9)[:, None, None] * 5
    number = np.arange(5)[None, :, None]
    inside = (share > number - 3e-3) & (share < number + 1 + 3e-3)
    assert inside[g.band.context >= 0].all()
    # Fewer firings than places: the sample is all of them.
    few = np.flatnonzero((g.count > 0) & (g.count <= 32))
    assert len(few)
    assert ((g.sample.context[few] >= 0).sum(1) == g.count[few]).all()


def test_contexts_that_repeat_each_other_are_listed_once(llama: Loaded) -> None:
    m = with_dictionary(llama)
    g = opened(m, Silent(), **{**FAST, "corpus": (CORPUS[0],) * 5 + CORPUS[1:]})
    for feature in range(g.n_features):
        there = g.top.context[feature] >= 0
        assert (g.top.context[feature][there] < 5).sum() <= 1


def test_special_tokens_and_the_first_never_fire(llama: Loaded) -> None:
    g = opened(with_dictionary(llama), Silent(), **FAST)
    assert not g.text.keep[g.text.start[:-1]].any()
    rows = g.need_codes().of_tokens(0, g.text.n_tokens)
    assert (np.diff(rows.start)[~g.text.keep] == 0).all()


def files(g: FeatureGallery) -> dict[str, bytes]:
    """All bytes of a gallery but for when and how fast it was made."""
    found = {path.name: path.read_bytes() for path in sorted(g.folder.iterdir())}
    manifest = json.loads(found[layout.MANIFEST])
    del manifest["made"], manifest["seconds"]
    return found | {layout.MANIFEST: json.dumps(manifest).encode()}


def test_how_the_text_is_cut_into_batches_changes_nothing(
    llama: Loaded, monkeypatch: pytest.MonkeyPatch, own_home: Path
) -> None:
    # Texts that begin alike have values that are equal but for rounding: one such text is left out.
    asked = {**FAST, "corpus": CORPUS[:4] + CORPUS[5:]}
    whole = opened(with_dictionary(llama), Silent(), **asked)
    monkeypatch.setenv("EIDOSCOPE_HOME", str(own_home / "other"))
    monkeypatch.setitem(feature_pass.TOKENS_AT_ONCE, "cpu", 30)
    parts = opened(with_dictionary(llama), Silent(), **asked)
    assert parts.folder != whole.folder
    np.testing.assert_array_equal(parts.count, whole.count)
    np.testing.assert_allclose(parts.total, whole.total, rtol=1e-5)
    np.testing.assert_array_equal(parts.stats["random_count"], whole.stats["random_count"])
    for name in ("top", "band", "sample", "weighted"):
        one, other = getattr(whole, name), getattr(parts, name)
        np.testing.assert_array_equal(one.context, other.context)
        np.testing.assert_array_equal(one.position, other.position)
        np.testing.assert_allclose(one.value, other.value, rtol=2e-3)
    for feature in range(whole.n_features):
        one, other = (g.need_codes().of_feature(feature) for g in (whole, parts))
        np.testing.assert_array_equal(one[0], other[0])


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


def test_another_dictionary_text_or_change_is_another_gallery(llama: Loaded) -> None:
    m = with_dictionary(llama)
    asked: list[dict[str, Any]] = [
        {},
        {"corpus": CORPUS[:-1]},
        {"window": 12},
        {"interventions": (api.Scale("L0.mlp_out", 2.0),)},
    ]
    keys = {opened(m, Silent(), **{**FAST, **one}).key for one in asked}
    keys.add(opened(with_dictionary(llama, seed=1), Silent(), **FAST).key)
    assert len(keys) == 5
    with pytest.raises(Error, match="every token"):
        opened(m, Silent(), **FAST, interventions=(api.Scale("L0.mlp_out@2", 2.0),))
    with pytest.raises(Error, match="there is no dictionary 'other'"):
        opened(m, Silent(), **{**FAST, "dictionary": "other"})


def test_a_change_of_the_model_is_a_change_of_the_gallery(llama: Loaded) -> None:
    m = with_dictionary(llama)
    change = api.Scale("L0.mlp_out", 2.0)
    g = opened(m, Silent(), **FAST, interventions=(change,))
    values, keep = all_activations(m, change=[[change]])
    np.testing.assert_array_equal(g.count, (values[keep] > 0).sum(0))


def test_texts_too_long_for_codes_say_so(llama: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = opened(with_dictionary(llama), Silent(), **FAST)
    monkeypatch.setattr(feature_pass, "MAX_CODES", 100)
    g = opened(with_dictionary(llama, seed=1), Silent(), **FAST)
    assert g.codes is None
    with pytest.raises(Error, match="more than 100"):
        g.need_codes()
    assert g.count.sum() > 100
    assert kept.codes is not None


def test_activations_beyond_float16_are_kept_as_its_largest_and_counted(llama: Loaded) -> None:
    m = with_dictionary(llama, W_enc=1e6 * torch.ones(llama.d_model, 40))
    g = opened(m, Silent(), **FAST)
    assert g.manifest.n_clamped > 0
    assert g.need_codes().of_feature(int(g.count.argmax()))[1].max() == 65_504
    assert g.max.max() > 65_504
    np.testing.assert_allclose(g.top.value[:, 0], g.max, rtol=1e-3)


def test_files_and_pasted_texts_are_the_same_corpus(llama: Loaded, tmp_path: Path) -> None:
    m = with_dictionary(llama)
    path = tmp_path / "texts.jsonl"
    path.write_text("".join(json.dumps({"body": text}) + "\n" for text in CORPUS))
    pasted = opened(m, Silent(), **FAST)
    read_file = opened(m, Silent(), **{**FAST, "corpus": str(path)}, field="body")
    assert read_file.key == pasted.key
    with pytest.raises(Error, match="no field"):
        opened(m, Silent(), **{**FAST, "corpus": str(path)})


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
