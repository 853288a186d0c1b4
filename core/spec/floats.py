"""Long lists of numbers as short texts: base64 of little-endian float32, where that is exact."""

import base64
import binascii
import struct
from typing import Any

from core.spec.errors import Error

_MARK = "f32:"
_FEW = 8  # shorter lists stay readable


def packed(value: Any) -> Any:
    """The same plain value, every list of numbers that are all exactly float32 as one text."""
    if isinstance(value, dict):
        return {key: packed(item) for key, item in value.items()}
    if not isinstance(value, list | tuple):
        return value
    if len(value) < _FEW or not all(type(item) is float for item in value):
        return [packed(item) for item in value]
    try:
        raw = struct.pack(f"<{len(value)}f", *value)
    except OverflowError:
        return list(value)
    if struct.unpack(f"<{len(value)}f", raw) != tuple(value):
        return list(value)
    return _MARK + base64.b64encode(raw).decode()


def unpacked(value: Any) -> Any:
    """What `packed` was given. Raises `Error` where such a text is damaged."""
    if isinstance(value, list):
        return [unpacked(item) for item in value]
    if not isinstance(value, str) or not value.startswith(_MARK):
        return value
    try:
        raw = base64.b64decode(value[len(_MARK) :], validate=True)
        return list(struct.unpack(f"<{len(raw) // 4}f", raw))
    except (binascii.Error, struct.error, ValueError):
        raise Error("a direction in this link cannot be read; part of it may be missing") from None
