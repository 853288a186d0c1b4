"""Directions as a safetensors file: written for other programs, read with every byte checked.

Keys: `W` [n_layers, d_model], `b` [n_layers], `mean_pos` and `mean_neg` [n_layers, d_model]. A file
of another program needs `W` alone; its bias may be called `b` or `a`. What the numbers are about
stands as JSON in the file's metadata and beside it.
"""

import json
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from core.results.direction import DirectionResult
from core.spec.errors import Error

KIND = "eidoscope-directions"
MAX_BYTES = 64_000_000
MAX_HEADER = 1_000_000
TYPES: dict[str, np.dtype[Any]] = {
    "F16": np.dtype("<f2"),
    "F32": np.dtype("<f4"),
    "F64": np.dtype("<f8"),
}


@dataclass(frozen=True)
class Directions:
    """weights [layer, d_model] float32, bias [layer]; `about` is what the file says of itself."""

    weights: np.ndarray
    bias: np.ndarray
    about: dict[str, str] = field(default_factory=dict)


def about(result: DirectionResult) -> dict[str, Any]:
    """What the numbers of a file are about, JSON-ready."""
    found = {
        "kind": KIND,
        "version": 1,
        "model": list(result.request.get("model", [])),
        "row": "row l belongs to L{l}.resid_post",
        "score": "W[l] @ x + b[l] is above 0 on the positive side",
    }
    names = ("concept", "source", "method", "position", "other", "n_positive", "n_negative", "seed")
    found |= {name: getattr(result, name) for name in names}
    for name in ("separation", "split_half", "gap", "mean_norm"):
        values = getattr(result, name).tolist()
        found[name] = [value if math.isfinite(value) else None for value in values]
    return found


def pack(result: DirectionResult) -> bytes:
    """The directions of an answer as the bytes of a safetensors file."""
    arrays = {
        "W": result.direction,
        "b": -np.nan_to_num(result.middle),
        "mean_pos": np.nan_to_num(result.mean_positive),
        "mean_neg": np.nan_to_num(result.mean_negative),
    }
    table: dict[str, Any] = {"__metadata__": {"about": json.dumps(about(result))}}
    body = b""
    for name, array in arrays.items():
        data = np.ascontiguousarray(array, dtype="<f4").tobytes()
        table[name] = {
            "dtype": "F32",
            "shape": list(array.shape),
            "data_offsets": [len(body), len(body) + len(data)],
        }
        body += data
    header = json.dumps(table).encode("ascii")
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + body


def unpack(data: bytes) -> Directions:
    """Read what `pack` or another program wrote. Raises `Error` with a sentence."""
    table, body = _table(data)
    if "W" not in table:
        raise Error("the file holds no tensor W [layers, width], so it holds no directions")
    weights = _tensor(table["W"], body, "W")
    if weights.ndim != 2 or not weights.size:
        raise Error(f"W has the shape {list(weights.shape)}; [layers, width] is expected")
    if not np.isfinite(weights).all() or not np.linalg.norm(weights, axis=1).all():
        raise Error("W holds a direction of length zero or a value that is not finite")
    bias = np.zeros(len(weights), "float32")
    for name in ("b", "a"):
        if name in table:
            bias = np.nan_to_num(_tensor(table[name], body, name).reshape(-1))
            break
    if len(bias) != len(weights):
        raise Error(f"{len(bias)} biases for {len(weights)} directions; one each is expected")
    return Directions(weights.astype("float32"), bias.astype("float32"), _about(table))


def _table(data: bytes) -> tuple[dict[str, Any], bytes]:
    if len(data) > MAX_BYTES:
        raise Error(f"the file has {len(data):,} bytes; at most {MAX_BYTES:,} are read")
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or not 0 < length <= min(MAX_HEADER, len(data) - 8):
        raise Error("this is not a safetensors file: its header is missing or too long")
    try:
        table = json.loads(data[8 : 8 + length].decode("utf-8"))
    except (ValueError, RecursionError):
        raise Error("this is not a safetensors file: its header is not JSON") from None
    if not isinstance(table, dict):
        raise Error("this is not a safetensors file: its header is not a table")
    return table, data[8 + length :]


def _tensor(entry: Any, body: bytes, name: str) -> np.ndarray:
    try:
        kind, shape = TYPES[entry["dtype"]], [int(n) for n in entry["shape"]]
        first, last = (int(n) for n in entry["data_offsets"])
    except (KeyError, TypeError, ValueError):
        raise Error(f"tensor {name} is of a kind that is not read; F16, F32 and F64 are") from None
    size = math.prod(shape) * kind.itemsize
    if min(shape, default=0) < 0 or not 0 <= first <= last <= len(body) or last - first != size:
        raise Error(f"tensor {name} lies outside the file; part of the file may be missing")
    found: np.ndarray = np.frombuffer(body[first:last], kind).reshape(shape).astype("float32")
    return found


def _about(table: dict[str, Any]) -> dict[str, str]:
    """The file's own words about itself, as texts; nothing in it is believed."""
    metadata = table.get("__metadata__")
    try:
        found = json.loads(metadata["about"]) if isinstance(metadata, dict) else {}
    except (KeyError, ValueError, TypeError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {str(k)[:60]: str(v)[:200] for k, v in found.items() if isinstance(v, str | int)}
