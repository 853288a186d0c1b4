"""The door for weights: every fault of a file is refused with a sentence that names it."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from core.models import door, header
from core.spec.errors import Error
from tests.core.folders import F32, blob, tensor


def two(first: list[int], second: list[int]) -> dict[str, Any]:
    """Two tensors of bytes at these offsets."""
    return {
        name: {"dtype": "U8", "shape": [place[1] - place[0]], "data_offsets": place}
        for name, place in (("a", first), ("b", second))
    }


FAULTS: dict[str, tuple[bytes, str]] = {
    "empty file": (b"", r"has 0 bytes"),
    "seven bytes": (b"\x10\0\0\0\0\0\0", r"has 7 bytes"),
    "header of 2^63": (blob({}, length=2**63), r"claims 9223372036854775808 bytes, the limit"),
    "header of 2^64 - 1": (blob({}, length=2**64 - 1), r"claims 18446744073709551615 bytes"),
    "header above the limit": (blob({}, length=100_000_001), r"the limit is 100000000"),
    "header longer than the file": (blob(tensor(), length=5_000), r"claims 5000 bytes, the file"),
    "header one byte too long": (blob(tensor(), b"", length=90), r"claims 90 bytes, the file"),
    "zip archive": (b"PK\x03\x04" + b"\1" * 40, r"is a pickle under another name"),
    "pickle": (b"\x80\x02}q\x01X\x06\x00\x00\x00weight" + b"q" * 40, r"is a pickle under"),
    "header of zeros": (blob(b"\0" * 40), r"does not begin with '\{'"),
    "header of length zero": (blob(b""), r"does not begin with '\{'"),
    "a list": (blob(b"[1, 2]"), r"does not begin with '\{'"),
    "not JSON": (blob(b'{"w": {'), r"the header is not JSON"),
    "not UTF-8": (blob(b'{"\xff\xfe": 1}'), r"the header is not JSON"),
    "text behind the JSON": (blob(b"{} {}"), r"the header is not JSON"),
    "not a number": (blob(b'{"w": NaN}'), r"the header is not JSON"),
    "nested too deeply": (blob(b'{"w":' + b"[" * 50_000), r"the header is not JSON"),
    "a number of 5,000 digits": (blob(b'{"w":' + b"9" * 5_000 + b"}"), r"the header is not JSON"),
    "the same name twice": (
        blob(b'{"w":%b,"w":%b}' % ((json.dumps(F32).encode(),) * 2)),
        r"'w' stands in the header twice",
    ),
    "metadata that is a number": (blob({"__metadata__": 3, **tensor()}), r"__metadata__ should"),
    "metadata with a list": (blob({"__metadata__": {"a": [1]}, **tensor()}), r"__metadata__"),
    "no tensors": (blob({}, b""), r"holds no tensors"),
    "an entry that is a list": (blob({"w": [1]}), r"tensor 'w': expected exactly dtype, shape"),
    "no offsets": (blob({"w": {"dtype": "F32", "shape": [4]}}), r"tensor 'w': expected exactly"),
    "an entry with more": (blob(tensor(code="x")), r"tensor 'w': expected exactly"),
    "unknown type": (blob(tensor(dtype="OBJECT")), r"unknown type 'OBJECT'; known are"),
    "a type that is a list": (blob(tensor(dtype=["F32"])), r"unknown type"),
    "packed type": (blob(tensor(dtype="F4")), r"unknown type 'F4'"),
    "negative size": (blob(tensor(shape=[-2, -2])), r"the shape \[-2, -2\] is not a list"),
    "size of 2^63": (blob(tensor(shape=[2**63])), r"the shape \[9223372036854775808\] is not"),
    "size that is a float": (blob(tensor(shape=[4.0])), r"the shape \[4.0\] is not a list"),
    "size that is true": (blob(tensor(shape=[True, 4])), r"the shape \[True, 4\] is not a list"),
    "shape that is a text": (blob(tensor(shape="22")), r"the shape '22' is not a list"),
    "17 axes": (blob(tensor(shape=[1] * 15 + [2, 2])), r"at most 16 sizes"),
    "shape that overflows 64 bits": (
        blob(tensor(shape=[2**32, 2**32, 4])),
        r"needs 295147905179352825856 bytes, its offsets span 16",
    ),
    "shape that overflows to the span": (
        blob(tensor(shape=[2**62 + 1, 4])),
        r"needs 73786976294838206480 bytes, its offsets span 16",
    ),
    "shape larger than its bytes": (blob(tensor(shape=[3, 2])), r"needs 24 bytes, its offsets"),
    "type wider than its bytes": (blob(tensor(dtype="F64")), r"of F64 needs 32 bytes"),
    "empty shape with bytes": (blob(tensor(shape=[0])), r"needs 0 bytes, its offsets span 16"),
    "negative offset": (blob(tensor(data_offsets=[-16, 0])), r"the offsets \[-16, 0\] are not"),
    "end before start": (blob(tensor(data_offsets=[16, 0])), r"the offsets \[16, 0\] are not"),
    "one offset": (blob(tensor(data_offsets=[16])), r"the offsets \[16\] are not a start and"),
    "offsets beyond the data": (
        blob(tensor(data_offsets=[16, 32])),
        r"tensor 'w': ends at byte 32, the file has 16 bytes of data",
    ),
    "data cut short": (blob(tensor(), b"\0" * 15), r"ends at byte 16, the file has 15 bytes"),
    "tensors that overlap": (blob(two([0, 10], [6, 16])), r"tensors 'a' and 'b' overlap"),
    "tensors at the same place": (blob(two([0, 16], [0, 16])), r"tensors 'a' and 'b' overlap"),
    "a hole": (blob(two([0, 6], [8, 16])), r"2 bytes in front of tensor 'b' belong to no"),
    "a hole at the start": (blob(tensor(shape=[3], data_offsets=[4, 16])), r"4 bytes in front"),
    "bytes at the end": (blob(tensor(), b"\0" * 20), r"4 bytes at the end belong to no tensor"),
    "an empty tensor inside another": (
        blob({**tensor(), "z": {"dtype": "F32", "shape": [0], "data_offsets": [8, 8]}}),
        r"tensors 'w' and 'z' overlap",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_a_file_is_named(fault: str, tmp_path: Path) -> None:
    raw, sentence = FAULTS[fault]
    (tmp_path / "model.safetensors").write_bytes(raw)
    with pytest.raises(Error, match=sentence) as caught:
        door.inspect(tmp_path)
    assert "model.safetensors" in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


def test_a_name_from_a_file_cannot_write_on_the_terminal_or_the_page(tmp_path: Path) -> None:
    name = "\x1b[2J\u202e<script>\ud800" + "x" * 500
    raw = blob(json.dumps({name: {**F32, "dtype": "?"}}).encode("utf-8", "surrogatepass"))
    (tmp_path / "model.safetensors").write_bytes(raw)
    with pytest.raises(Error) as caught:
        door.inspect(tmp_path)
    assert str(caught.value).isascii()
    assert str(caught.value).isprintable()


def test_a_sound_file_is_described(tmp_path: Path) -> None:
    tensors = {
        "a": torch.zeros(2, 3),
        "b": torch.zeros(5, dtype=torch.bfloat16),
        "scalar": torch.tensor(1.0),
        "empty": torch.zeros(0, 7),
        "index": torch.zeros(4, dtype=torch.int64),
    }
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    files = door.inspect(tmp_path)
    assert files.tensors["b"] == ("BF16", (5,))
    assert files.tensors["empty"].shape == (0, 7)
    assert set(files.names) == set(tensors)
    assert files.parameters == sum(t.numel() for t in tensors.values())
    assert files.bytes == sum(t.numel() * t.element_size() for t in tensors.values())
    assert header.main_dtype(files.tensors.values()) == "F32"


def test_empty_tensors_may_share_an_offset(tmp_path: Path) -> None:
    empty = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    (tmp_path / "model.safetensors").write_bytes(blob({"y": empty, "z": empty, **tensor()}))
    assert set(door.inspect(tmp_path).names) == {"w", "y", "z"}


def test_padding_blanks_behind_the_json_are_allowed(tmp_path: Path) -> None:
    raw = json.dumps(tensor()).encode()
    (tmp_path / "model.safetensors").write_bytes(blob(raw + b" " * 7))
    assert door.inspect(tmp_path).names == ("w",)


def test_a_pipe_in_place_of_the_weights_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.safetensors")
    with pytest.raises(Error, match=r"model\.safetensors is not a plain file"):
        door.inspect(tmp_path)


def test_a_folder_in_place_of_the_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").mkdir()
    with pytest.raises(Error, match="is not a plain file"):
        door.inspect(tmp_path)


# --- which file -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["pytorch_model.bin", "model.pt", "model.pth", "last.ckpt", "weights.pkl", "arrays.npz"],
)
def test_pickles_alone_are_refused_by_name(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"\x80\x04.")
    with pytest.raises(Error, match=rf"found '{name}' and no safetensors file; pickles"):
        door.inspect(tmp_path)


@pytest.mark.parametrize("name", ["tf_model.h5", "flax_model.msgpack", "model.gguf"])
def test_other_formats_are_refused_by_name(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"1")
    with pytest.raises(Error, match=f"found '{name}'; only safetensors files are read"):
        door.inspect(tmp_path)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Error, match=r"found no weights: expected model\.safetensors"):
        door.inspect(tmp_path)


def test_weights_under_another_name_are_pointed_at(tmp_path: Path) -> None:
    (tmp_path / "mine.safetensors").write_bytes(blob(tensor()))
    with pytest.raises(Error, match=r"found 'mine\.safetensors', but neither"):
        door.inspect(tmp_path)


# --- shards ---------------------------------------------------------------------------------


def sharded(folder: Path, places: Any, **files: Any) -> Path:
    """An index over files given as name (with _ for .) = entries."""
    index = json.dumps({"metadata": {}, "weight_map": places})
    (folder / "model.safetensors.index.json").write_text(index)
    for name, entries in files.items():
        (folder / f"{name}.safetensors").write_bytes(blob(entries))
    return folder


def test_shards_are_joined(tmp_path: Path) -> None:
    sharded(tmp_path, {"v": "a.safetensors", "w": "b.safetensors"}, a={"v": F32}, b={"w": F32})
    files = door.inspect(tmp_path)
    assert files.parameters == 8
    assert files.shards == {"v": "a.safetensors", "w": "b.safetensors"}


@pytest.mark.parametrize(
    "name",
    [
        "../outside.safetensors",
        "/etc/outside.safetensors",
        "sub/inside.safetensors",
        "..\\outside.safetensors",
        "C:\\outside.safetensors",
        "C:outside.safetensors",
        "..",
        ".hidden.safetensors",
        "a\u0000.safetensors",
        "a\n.safetensors",
        "",
        "x" * 300 + ".safetensors",
        "file:///etc/passwd",
        "\u202easfetensors.safetensors",
    ],
)
def test_a_shard_outside_the_folder_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "outside.safetensors").write_bytes(blob(tensor()))
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "inside.safetensors").write_bytes(blob(tensor()))
    sharded(folder, {"w": name})
    with pytest.raises(Error, match="which is not in this folder"):
        door.inspect(folder)


@pytest.mark.parametrize("name", ["pytorch_model-00001-of-00002.bin", "a.pt", "a.safetensors.pkl"])
def test_a_shard_that_is_a_pickle_is_refused(name: str, tmp_path: Path) -> None:
    sharded(tmp_path, {"w": name})
    (tmp_path / name).write_bytes(b"\x80\x04.")
    with pytest.raises(Error, match=r"only \.safetensors files are opened"):
        door.inspect(tmp_path)


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    sharded(tmp_path, {"v": "a.safetensors", "w": "b.safetensors"}, a={"v": F32})
    with pytest.raises(Error, match=r"b\.safetensors is missing"):
        door.inspect(tmp_path)


def test_a_tensor_missing_in_its_shard_is_named(tmp_path: Path) -> None:
    sharded(tmp_path, {"v": "a.safetensors", "w": "a.safetensors"}, a={"v": F32})
    with pytest.raises(Error, match=r"places tensor 'w' in a\.safetensors, which does not hold"):
        door.inspect(tmp_path)


def test_a_tensor_in_two_shards_is_named(tmp_path: Path) -> None:
    sharded(tmp_path, {"v": "a.safetensors", "w": "b.safetensors"}, a={"v": F32}, b={"v": F32})
    with pytest.raises(Error, match=r"tensor 'v' stands in a\.safetensors and in b\.safetensors"):
        door.inspect(tmp_path)


@pytest.mark.parametrize("places", [None, [], {}, "a.safetensors", 3])
def test_an_index_without_a_table_is_refused(places: Any, tmp_path: Path) -> None:
    with pytest.raises(Error, match="expected weight_map"):
        door.inspect(sharded(tmp_path, places))


@pytest.mark.parametrize("text", ["", "[1]", "{", "\ufeff{}", "[" * 50_000, '"a"', "\x00"])
def test_an_index_that_is_no_object_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(text)
    with pytest.raises(Error, match=r"index\.json (is not JSON|should hold a JSON object)"):
        door.inspect(tmp_path)


# --- links ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["model.safetensors", "config.json", "tokenizer.json", "anything.else"]
)
def test_a_link_that_leaves_the_folder_is_refused(name: str, tmp_path: Path) -> None:
    outside = tmp_path / "secret"
    outside.write_bytes(blob(tensor()))
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / name).symlink_to(outside)
    with pytest.raises(Error, match=f"'{name}' is a link that leaves the model's folder"):
        door.inspect(folder)


def test_a_link_into_a_folder_whose_name_begins_alike_is_refused(tmp_path: Path) -> None:
    for name in ("model", "model-other"):
        (tmp_path / name).mkdir()
    (tmp_path / "model-other" / "w").write_bytes(blob(tensor()))
    (tmp_path / "model" / "model.safetensors").symlink_to("../model-other/w")
    with pytest.raises(Error, match="leaves the model's folder"):
        door.inspect(tmp_path / "model")


def test_a_link_to_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").symlink_to("model.safetensors")
    with pytest.raises(Error, match=r"leaves the model's folder|cannot be read"):
        door.inspect(tmp_path)


def test_links_inside_the_folder_and_of_a_hub_cache_are_followed(tmp_path: Path) -> None:
    (tmp_path / "real.safetensors").write_bytes(blob(tensor()))
    (tmp_path / "model.safetensors").symlink_to("real.safetensors")
    assert door.inspect(tmp_path).names == ("w",)
    snapshot = tmp_path / "models--a--b" / "snapshots" / "0123"
    blobs = tmp_path / "models--a--b" / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    (blobs / "ab12").write_bytes(blob(tensor()))
    (snapshot / "model.safetensors").symlink_to("../../blobs/ab12")
    assert door.inspect(snapshot).names == ("w",)


# --- fingerprint ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_the_fingerprint_follows_every_file_a_loader_reads(
    name: str, tiny: Callable[[str], Path], tmp_path: Path
) -> None:
    for source in tiny("llama").iterdir():
        (tmp_path / source.name).write_bytes(source.read_bytes())
    first, stamp = door.fingerprint(tmp_path), door.stamp(tmp_path)
    assert first == door.fingerprint(tiny("llama"))
    raw = bytearray((tmp_path / name).read_bytes())
    raw[-3] ^= 1
    (tmp_path / name).write_bytes(raw)
    assert door.fingerprint(tmp_path) != first
    assert door.stamp(tmp_path) != stamp


def test_the_fingerprint_ignores_what_no_loader_reads(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(blob(tensor()))
    first = door.fingerprint(tmp_path)
    (tmp_path / "README.md").write_text("hello")
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    assert door.fingerprint(tmp_path) == first


def test_the_fingerprint_of_unchanged_files_is_not_computed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model.safetensors").write_bytes(blob(tensor()))
    first = door.fingerprint(tmp_path)
    monkeypatch.setattr(door.hashlib, "file_digest", None)
    assert door.fingerprint(tmp_path) == first
