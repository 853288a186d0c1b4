"""The header of a safetensors file, checked before anything else touches the file.

A file is 8 bytes of length N (little endian), N bytes of JSON, then the data. The JSON maps
each tensor to its type, shape and place. Readers that trust it read out of bounds, so every
number is checked here; a fault is one sentence that names file, tensor and fault.
"""

import json
import os
import stat
from collections.abc import Iterable
from math import prod
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from core.spec.errors import Error

MAX_HEADER = 100_000_000  # bytes, the limit of the format
MAX_RANK = 16
# Bytes of one element. Packed types of less than a byte are left out on purpose.
ITEM_BYTES = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0"), 1),
    **dict.fromkeys(("F8_E4M3FNUZ", "F8_E5M2FNUZ"), 1),
    **dict.fromkeys(("I16", "U16", "F16", "BF16"), 2),
    **dict.fromkeys(("I32", "U32", "F32"), 4),
    **dict.fromkeys(("I64", "U64", "F64", "C64"), 8),
}


class TensorInfo(NamedTuple):
    """What a file says of one tensor: its type in the format's words, and its shape."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def bytes(self) -> int:
        """Bytes in the file."""
        return self.size * ITEM_BYTES[self.dtype]


def read(path: Path) -> dict[str, TensorInfo]:
    """Every tensor a safetensors file holds. Raises `Error` when the file is not sound."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise Error(f"{path.name} is not a plain file, so it is not opened")
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            raw = _header_bytes(path, file.read(8), size, file)
    except OSError as fault:
        raise Error(f"{path.name} cannot be read: {fault.strerror or fault}") from None
    return _tensors(path.name, _entries(path.name, raw), size - 8 - len(raw))


def main_dtype(tensors: Iterable[TensorInfo]) -> str:
    """The floating point type that most of the bytes are stored in; "" without any."""
    weight: dict[str, int] = {}
    for tensor in tensors:
        if "F" in tensor.dtype:
            weight[tensor.dtype] = weight.get(tensor.dtype, 0) + tensor.bytes
    return max(weight, key=lambda dtype: (weight[dtype], dtype), default="")


def shown(name: object) -> str:
    """A name from a file, safe and short enough for a sentence."""
    try:
        text = ascii(name)
    except (RecursionError, ValueError):  # nested too deeply, or a number of thousands of digits
        return "something unreadable"
    return text if len(text) <= 80 else f"{text[:77]}..."


def _header_bytes(path: Path, prefix: bytes, size: int, file: Any) -> bytes:
    name = path.name
    if size < 8:
        raise Error(f"{name} has {size} bytes; a safetensors file begins with 8 bytes of length")
    length = int.from_bytes(prefix, "little")
    if length > size - 8 and (prefix[:4] == b"PK\x03\x04" or prefix[0] == 0x80):
        raise Error(
            f"{name} is a pickle under another name; pickles can run code and are never opened. "
            "Ask for the weights as safetensors"
        )
    if length > MAX_HEADER:
        raise Error(f"{name}: the header claims {length} bytes, the limit is {MAX_HEADER}")
    if length > size - 8:
        raise Error(
            f"{name}: the header claims {length} bytes, the file has {size}; it is cut short or "
            "no safetensors file, so download it again"
        )
    raw = bytes(file.read(length))
    if raw[:1] != b"{":
        raise Error(f"{name}: the header does not begin with '{{'; this is no safetensors file")
    return raw


def _entries(name: str, raw: bytes) -> dict[str, Any]:
    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in items:
            if key in found:
                raise Error(f"{name}: {shown(key)} stands in the header twice")
            found[key] = value
        return found

    def constant(text: str) -> NoReturn:
        raise ValueError(f"{text} is not JSON")

    try:
        entries = json.loads(raw.decode(), object_pairs_hook=pairs, parse_constant=constant)
    except Error:
        raise
    except (ValueError, RecursionError):
        raise Error(f"{name}: the header is not JSON; the file is damaged") from None
    return dict(entries)


def _tensors(name: str, entries: dict[str, Any], data: int) -> dict[str, TensorInfo]:
    """Check all entries against each other and against `data`, the bytes behind the header."""
    metadata = entries.pop("__metadata__", {})
    texts = isinstance(metadata, dict) and all(isinstance(v, str) for v in metadata.values())
    if not texts:
        raise Error(f"{name}: __metadata__ should map texts to texts")
    if not entries:
        raise Error(f"{name} holds no tensors")
    spans: list[tuple[int, int, str]] = []
    tensors: dict[str, TensorInfo] = {}
    for key, entry in entries.items():
        info, start, end = _entry(f"{name}, tensor {shown(key)}", entry)
        if end > data:
            raise Error(
                f"{name}, tensor {shown(key)}: ends at byte {end}, the file has {data} bytes of "
                "data; it is cut short, so download it again"
            )
        tensors[key] = info
        spans.append((start, end, key))
    _no_gaps(name, sorted(spans), data)
    return tensors


def _entry(where: str, entry: Any) -> tuple[TensorInfo, int, int]:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise Error(f"{where}: expected exactly dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in ITEM_BYTES:
        raise Error(f"{where}: unknown type {shown(dtype)}; known are {', '.join(ITEM_BYTES)}")
    if not _counts(shape) or len(shape) > MAX_RANK:
        raise Error(
            f"{where}: the shape {shown(shape)} is not a list of at most {MAX_RANK} sizes from 0"
        )
    if not _counts(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise Error(f"{where}: the offsets {shown(offsets)} are not a start and an end behind it")
    info = TensorInfo(dtype, tuple(shape))
    if info.bytes != offsets[1] - offsets[0]:
        raise Error(
            f"{where}: shape {shown(shape)} of {dtype} needs {shown(info.bytes)} bytes, "
            f"its offsets span {offsets[1] - offsets[0]}"
        )
    return info, offsets[0], offsets[1]


def _counts(value: Any) -> bool:
    """A list of whole numbers from 0 to 2^63 - 1, as the format counts them."""
    return isinstance(value, list) and all(type(n) is int and 0 <= n < 2**63 for n in value)


def _no_gaps(name: str, spans: list[tuple[int, int, str]], data: int) -> None:
    """Tensors must lie end to end; one of size zero may share the offset of its neighbour."""
    reached, before = 0, ""
    for start, end, key in spans:
        if start < reached:
            raise Error(f"{name}: tensors {shown(before)} and {shown(key)} overlap")
        if start > reached:
            raise Error(
                f"{name}: {start - reached} bytes in front of tensor {shown(key)} belong to no "
                "tensor"
            )
        reached, before = end, key
    if reached != data:
        raise Error(f"{name}: {data - reached} bytes at the end belong to no tensor")
