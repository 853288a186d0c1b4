"""An answer as the bytes of one file, and back; never pickled.

The file: a line naming the format, the SHA-256 of key and body, then the body: the length
of the labels (8 bytes, little end first), the labels as JSON, the arrays as npz.
"""

import hashlib
import io
import json
import sys
import zipfile
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np

from core.results.base import Result
from core.results.table import result_class
from core.spec.errors import Error

FORMAT = b"eidoscope answer 1\n"
_DIGEST = 32
_LENGTH = 8
R = TypeVar("R", bound=Result)


def pack(key: str, result: Result) -> bytes:
    """The file of this answer. What could not be read back raises ValueError: an array that
    would need pickle, a class that is not the table's for its name.
    """
    if result_class(result.name) is not type(result):
        raise ValueError(f"{type(result).__name__} is not what {result.name!r} is read back as")
    labels = result.text().encode("ascii")
    arrays = io.BytesIO()
    np.savez(arrays, allow_pickle=False, **result.arrays())
    body = len(labels).to_bytes(_LENGTH, "little") + labels + arrays.getvalue()
    return FORMAT + _digest(key, body) + body


def unpack(key: str, data: bytes) -> Result:
    """The answer in a file, its arrays read-only. Raises `Error` unless every byte is right."""
    head, body = data[: len(FORMAT) + _DIGEST], data[len(FORMAT) + _DIGEST :]
    if not head.startswith(FORMAT):
        raise Error("it is of another format")
    if head[len(FORMAT) :] != _digest(key, body):
        raise Error("its checksum does not fit")
    try:
        end = _LENGTH + int.from_bytes(body[:_LENGTH], "little")
        text = json.loads(body[_LENGTH:end])
        with np.load(io.BytesIO(body[end:]), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        result = result_class(text["analysis"]).build(arrays, text["labels"])
    except (ValueError, KeyError, TypeError, OSError, zipfile.BadZipFile) as error:
        raise Error(f"it was written by another version ({error})") from None
    return freeze(result)


def freeze(result: R) -> R:
    """The same answer, its arrays made read-only, since threads share it."""
    for array in result.arrays().values():
        array.flags.writeable = False
    return result


def size(result: Result) -> int:
    """Bytes of memory the answer takes: its arrays and its labels."""
    return sum(array.nbytes for array in result.arrays().values()) + _label_size(result.labels())


def _label_size(value: Any) -> int:
    # Tens of thousands of short texts in a lens, while a visitor waits: the common case first.
    if isinstance(value, tuple | list):
        texts = [sys.getsizeof(item) for item in value if type(item) is str]
        others = [_label_size(item) for item in value if type(item) is not str]
        return sys.getsizeof(value) + sum(texts) + sum(others)
    own = sys.getsizeof(value)
    if isinstance(value, Mapping):
        return own + sum(_label_size(k) + _label_size(v) for k, v in value.items())
    return own


def _digest(key: str, body: bytes) -> bytes:
    """The key is part of it, so a file under another answer's name is not believed."""
    digest = hashlib.sha256(key.encode("ascii"))
    digest.update(body)
    return digest.digest()
