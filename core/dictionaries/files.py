"""The files of dictionaries: which belong together, what they hold, and that nothing in them runs.

Tensors come from safetensors files with a checked header, from npz files without objects, or from
`.pt` files through torch's restricted loader; the last never on a shared server.
"""

import os
import stat
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.lib import format as npy
from torch import Tensor

from core import home
from core.models import header, memory
from core.models.header import shown
from core.spec.errors import Error

MAX_BYTES = 200_000_000_000  # of one file
IN_FLOAT32 = 2_000_000_000  # bytes of all weights up to which they are held in float32
HALVES = (torch.bfloat16, torch.float16)


class Tensors:
    """The tensors of one file by name; what is missing or broken is said by name."""

    def __init__(self, file: str, values: Mapping[str, Tensor]) -> None:
        self.file, self._values = file, dict(values)
        whole = sum(value.numel() for value in self._values.values()) * 4
        self._keep_halves = whole > IN_FLOAT32

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def take(self, *names: str) -> Tensor:
        """The first of these that is there, finite, float32 unless all are too large for that."""
        for name in names:
            if name in self._values:
                return self._checked(name)
        there = ", ".join(sorted(self._values)[:12]) or "nothing"
        raise Error(f"{self.file} has no tensor {names[0]}; it holds {there}"[:400])

    def get(self, *names: str) -> Tensor | None:
        """The same, None where there is none of them."""
        return self.take(*names) if any(name in self._values for name in names) else None

    def matrix(self, *names: str) -> Tensor:
        """The same, refused when it has not two axes."""
        return self._of_rank(2, names)

    def vector(self, *names: str) -> Tensor:
        """The same, refused when it has not one axis."""
        return self._of_rank(1, names)

    def _of_rank(self, rank: int, names: tuple[str, ...]) -> Tensor:
        value = self.take(*names)
        if value.ndim != rank:
            raise Error(f"{self.file}: {names[0]} is {list(value.shape)}, expected {rank} axes")
        return value

    def _checked(self, name: str) -> Tensor:
        value = self._values[name]
        if not (value.dtype in HALVES and self._keep_halves):
            value = value.float()
        if not bool(torch.isfinite(value).all()):
            raise Error(
                f"{self.file}: tensor {shown(name)} holds a value that is infinite or not a "
                "number; the file is damaged, so download it again"
            )
        return value


def inside(folder: Path, *parts: str) -> Path:
    """A file of a folder. One that leads out of the folder by links or dots is refused.

    In a hub cache the files of a snapshot are links into `blobs` of the same repository.
    """
    path = folder.joinpath(*parts)
    root = folder.resolve()
    homes = [root]
    for above in (root, *root.parents):
        if above.parent.name == "snapshots":
            homes.append(above.parent.parent / "blobs")
    try:
        real = path.resolve()
    except (OSError, RuntimeError):  # a link to itself
        real = Path(os.sep)
    if not any(real.is_relative_to(each) for each in homes):
        raise Error(
            f"{shown(path.name)} is a link that leaves the dictionary's folder; put the file "
            "itself there"
        )
    return path


def tensors(path: Path) -> Tensors:
    """The tensors of a .safetensors, .npz or .pt file. Raises `Error`."""
    _sound(path)
    if path.suffix == ".safetensors":
        return _safetensors(path)
    if path.suffix == ".npz":
        return _npz(path)
    if path.suffix in (".pt", ".pth"):
        return _torch(path)[0]
    raise Error(f"{path.name} is not read; dictionaries come as .safetensors, .npz or .pt files")


def torch_file(path: Path) -> tuple[Tensors, dict[str, object]]:
    """(tensors by dotted name, everything else) of a .pt file."""
    _sound(path)
    return _torch(path)


def _sound(path: Path) -> None:
    try:
        status = path.stat()
    except OSError as fault:
        raise Error(f"{path.name} cannot be read: {fault.strerror or fault}") from None
    if not stat.S_ISREG(status.st_mode):
        raise Error(f"{path.name} is not a plain file, so it is not opened")
    if status.st_size > MAX_BYTES:
        raise Error(f"{path.name} has {status.st_size:,} bytes, more than {MAX_BYTES:,}")


def _fits(name: str, numbers: int) -> None:
    """Refuse what memory cannot hold in the precision it will be held in."""
    needed = numbers * (4 if numbers * 4 <= IN_FLOAT32 else 2)
    free = memory.available("cpu")
    if needed * memory.ROOM > free:
        raise Error(
            f"{name} needs {needed / 1e9:.1f} GB of memory and {free / 1e9:.1f} GB are free"
        )


def _safetensors(path: Path) -> Tensors:
    from safetensors import safe_open

    there = header.read(path)
    _fits(path.name, sum(info.size for info in there.values()))
    with safe_open(path, framework="pt") as file:
        return Tensors(path.name, {name: file.get_tensor(name) for name in there})


def _npz(path: Path) -> Tensors:
    _npz_headers(path)
    found = {}
    try:
        with np.load(path, allow_pickle=False) as stored:
            for name in stored.files:
                found[name] = torch.from_numpy(np.ascontiguousarray(stored[name]))
    except (OSError, ValueError, EOFError, TypeError, zipfile.BadZipFile):
        raise Error(f"{path.name} is damaged; download it again") from None
    return Tensors(path.name, found)


def _npz_headers(path: Path) -> None:
    """Check what every array claims before any of it is unpacked: type, size, room for it."""
    numbers = 0
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                with archive.open(info) as member:
                    size, dtype = _npy_header(path, info.filename, member)
                    claimed = info.file_size - member.tell()
                if dtype.hasobject or dtype.kind not in "fiu":
                    raise Error(
                        f"{path.name}: {shown(info.filename)} holds {dtype} instead of numbers; "
                        "objects can run code and are never opened"
                    )
                if size * dtype.itemsize != claimed:
                    raise Error(
                        f"{path.name}: {shown(info.filename)} claims {size:,} numbers and holds "
                        f"{claimed:,} bytes; the file is damaged"
                    )
                numbers += size
    except Error:
        raise
    except (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile):
        raise Error(f"{path.name} is no npz file that can be read; download it again") from None
    _fits(path.name, numbers)


def _npy_header(path: Path, name: str, member: object) -> tuple[int, np.dtype]:
    version = npy.read_magic(member)  # type: ignore[arg-type]
    if version not in ((1, 0), (2, 0)):
        raise Error(f"{path.name}: {shown(name)} is of an npy version that is not read")
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read(member)  # type: ignore[arg-type]
    size = 1
    for length in shape:
        size *= int(length)
    return size, dtype


def _torch(path: Path) -> tuple[Tensors, dict[str, object]]:
    if home.hosted():
        raise Error(
            f"{path.name} is a pickle, which this server never opens; ask for the dictionary as "
            "safetensors"
        )
    _stored_plainly(path)
    try:
        whole = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # noqa: BLE001  # whatever the restricted loader refuses, and damage
        raise Error(
            f"{path.name} is damaged or holds more than tensors, and then opening it could run "
            "code; save its state_dict with torch.save, or better as safetensors"
        ) from None
    if not isinstance(whole, dict):
        raise Error(f"{path.name} should hold a table of tensors, not a {type(whole).__name__}")
    found: dict[str, Tensor] = {}
    rest: dict[str, object] = {}
    _sorted(path.name, whole, "", found, rest)
    _fits(path.name, sum(value.numel() for value in found.values()))
    return Tensors(path.name, found), rest


def _stored_plainly(path: Path) -> None:
    """torch stores without compression, so an archive larger inside than outside is none of its."""
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
    except (OSError, ValueError, RuntimeError, zipfile.BadZipFile):
        raise Error(
            f"{path.name} is no archive of torch; save it again with torch.save of a version "
            "since 1.6"
        ) from None
    packed = any(info.compress_type != zipfile.ZIP_STORED for info in infos)
    if packed or sum(info.file_size for info in infos) > path.stat().st_size:
        raise Error(f"{path.name} unpacks to more than it is; torch writes no such files")


def _sorted(
    file: str, table: dict, above: str, found: dict[str, Tensor], rest: dict[str, object]
) -> None:
    for key, value in table.items():
        name = f"{above}{key}"
        if isinstance(value, Tensor):
            if value.layout != torch.strided or (
                value.numel() * value.element_size() > value.untyped_storage().nbytes()
            ):
                raise Error(f"{file}: tensor {shown(name)} claims more numbers than are stored")
            found[name] = value.detach()
        elif isinstance(value, dict) and above.count(".") < 3:
            _sorted(file, value, f"{name}.", found, rest)
        else:
            rest[name] = value
