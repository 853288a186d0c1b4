"""Files of dictionaries are strangers' files: nothing in them runs, and none fills the memory."""

import io
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from core.dictionaries import names
from core.dictionaries.formats import opened
from core.spec.errors import Error
from tests.core.written_formats import WEIGHTS, gemma_scope, learned, numbers, saelens, tensors


class Trap:
    """A pickle that makes a file when it is opened."""

    def __init__(self, canary: Path) -> None:
        self.canary = str(canary)

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path(self.canary),)


@pytest.fixture
def canary(tmp_path: Path) -> Any:
    """A file that must not appear."""
    path = tmp_path / "canary"
    yield path
    assert not path.exists(), "something ran that must never run"


def _ae(folder: Path, **stored: Any) -> Path:
    """A folder of dictionary_learning whose ae.pt holds these."""
    path = learned(folder, "AutoEncoderNew", numbers(1))
    torch.save(stored, path / "ae.pt")
    return path


def test_the_trap_is_alive(tmp_path: Path) -> None:
    torch.save({"k": Trap(tmp_path / "sprung")}, tmp_path / "trap.pt")
    torch.load(tmp_path / "trap.pt", weights_only=False)
    assert (tmp_path / "sprung").exists()


def test_no_pickle_runs_from_a_pt_file(tmp_path: Path, canary: Path) -> None:
    with pytest.raises(Error, match="holds more than tensors"):
        opened(_ae(tmp_path, weight=Trap(canary)))
    torch.save({"W_enc": Trap(canary)}, tmp_path / "one.pt")
    with pytest.raises(Error, match="holds more than tensors"):
        opened(tmp_path / "one.pt", site="L1.resid_post")


def test_no_object_array_is_opened(tmp_path: Path, canary: Path) -> None:
    folder = gemma_scope(tmp_path, numbers(2))
    arrays = {name: numbers(2)[name] for name in (*WEIGHTS, "threshold")}
    np.savez(folder / "params.npz", **arrays | {"extra": np.array([Trap(canary)], dtype=object)})
    with pytest.raises(Error, match="objects can run code and are never opened"):
        opened(folder)


def test_a_hosted_server_opens_no_pickle_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = learned(
        tmp_path,
        "MatryoshkaBatchTopKSAE",
        numbers(1),
        **tensors(numbers(1), *WEIGHTS),
        threshold=torch.tensor(0.1),
    )
    opened(folder)
    monkeypatch.setenv("EIDOSCOPE_HOSTED", "1")
    loads: list[object] = []
    monkeypatch.setattr(torch, "load", lambda *_, **__: loads.append(1))
    with pytest.raises(Error, match="is a pickle, which this server never opens"):
        opened(folder)
    assert not loads


def _npy(shape: tuple[int, ...], dtype: str = "<f4", data: bytes = b"") -> bytes:
    head = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}"
    head += " " * (63 - (len(head) + 10) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + data


def _zipped(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


@pytest.mark.parametrize(
    ("member", "sentence"),
    [
        (_npy((1 << 40,)), "claims 1,099,511,627,776 numbers and holds 0 bytes"),
        (_npy((4,), data=b"\0" * 12), "claims 4 numbers and holds 12 bytes"),
        (_npy((1,), "|O", b"\0" * 8), "holds object instead of numbers"),
        (_npy((1,), "<U4", b"\0" * 16), "holds <U4 instead of numbers"),
        (b"nonsense", "is no npz file that can be read"),
        (b"\x93NUMPY\x03\x00" + b"\0" * 20, "npy version that is not read"),
    ],
)
def test_arrays_that_claim_what_is_not_there_are_refused_unopened(
    member: bytes, sentence: str, tmp_path: Path
) -> None:
    folder = gemma_scope(tmp_path, numbers(2))
    _zipped(folder / "params.npz", {"W_enc.npy": member})
    with pytest.raises(Error, match=sentence):
        opened(folder)


def test_a_zip_bomb_is_refused_before_it_unpacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.models import memory

    monkeypatch.setattr(memory, "available", lambda _: 10_000_000)
    folder = gemma_scope(tmp_path, numbers(2))
    zeros = _npy((20_000_000,), data=bytes(80_000_000))
    _zipped(folder / "params.npz", {"W_enc.npy": zeros}, zipfile.ZIP_DEFLATED)
    assert (folder / "params.npz").stat().st_size < 200_000
    with pytest.raises(Error, match=r"needs 0\.1 GB of memory and 0\.0 GB are free"):
        opened(folder)
    packed = io.BytesIO()
    torch.save({"W_enc": torch.zeros(1000)}, packed)
    with zipfile.ZipFile(packed) as source:
        members = {info.filename: source.read(info) for info in source.infolist()}
    _zipped(tmp_path / "bomb.pt", members, zipfile.ZIP_DEFLATED)
    with pytest.raises(Error, match="unpacks to more than it is"):
        opened(tmp_path / "bomb.pt", site="L1.resid_post")


def test_a_tensor_that_repeats_one_number_a_billion_times_is_refused(tmp_path: Path) -> None:
    folder = _ae(tmp_path, **{"encoder.weight": torch.ones(1, 1).expand(1 << 20, 1 << 20)})
    with pytest.raises(Error, match="claims more numbers than are stored"):
        opened(folder)


def _link_out(folder: Path, outside: Path) -> None:
    save_file(tensors(numbers(1), *WEIGHTS), outside)
    (folder / "sae_weights.safetensors").unlink()
    (folder / "sae_weights.safetensors").symlink_to(outside)


def test_links_that_leave_the_folder_are_refused(tmp_path: Path) -> None:
    folder = saelens(tmp_path / "a", "standard", numbers(1))
    _link_out(folder, tmp_path / "outside.safetensors")
    with pytest.raises(Error, match="is a link that leaves the dictionary's folder"):
        opened(folder)
    with pytest.raises(Error, match=r"holds '\.\.'"):
        opened(f"{folder}/../standard")


def test_links_into_the_blobs_of_a_hub_cache_are_followed(tmp_path: Path) -> None:
    repo = tmp_path / "models--somebody--dictionaries"
    folder = saelens(repo / "snapshots" / "abc", "standard", numbers(1))
    (repo / "blobs").mkdir()
    for each in list(folder.iterdir()):
        blob = repo / "blobs" / each.name
        os.replace(each, blob)
        each.symlink_to(blob)
    assert opened(folder).n_features == 24


Damage = Callable[[bytes], bytes]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: b"PK\x03\x04" + data[4:],
        lambda data: struct.pack("<Q", 1 << 60) + data[8:],
        lambda data: b"",
    ],
)
def test_damaged_headers_are_sentences(damage: Damage, tmp_path: Path) -> None:
    folder = saelens(tmp_path, "standard", numbers(1))
    path = folder / "sae_weights.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(Error, match=r"standard: sae_weights\.safetensors"):
        opened(folder)


def test_folders_in_place_of_files_are_no_dictionaries(tmp_path: Path) -> None:
    folder = saelens(tmp_path, "standard", numbers(1))
    (folder / "sae_weights.safetensors").unlink()
    (folder / "sae_weights.safetensors").mkdir()
    with pytest.raises(Error, match="no format is known by what is there"):
        opened(folder)
    assert names.files(folder) == []


def test_a_table_nested_without_end_is_not_followed(tmp_path: Path) -> None:
    deep: dict[str, Any] = {"W": torch.zeros(2)}
    for _ in range(50):
        deep = {"a": deep}
    torch.save(deep, tmp_path / "deep.pt")
    with pytest.raises(Error, match="no encoder that is known here"):
        opened(tmp_path / "deep.pt", site="L1.resid_post")
