"""What the tests of loading write into a folder, and do to one."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from core.models.library import Opened, open_model
from core.spec.request import ModelRef

F32 = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}


def blob(entries: Any, data: bytes = b"\0" * 16, length: int | None = None) -> bytes:
    """A safetensors file: `entries` as JSON (or raw bytes), `length` as the header claims."""
    raw = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return struct.pack("<Q", len(raw) if length is None else length) + raw + data


def tensor(**changes: Any) -> dict[str, Any]:
    return {"w": {**F32, **changes}}


def opened(folder: Path, **options: Any) -> Opened:
    return open_model(ModelRef(str(folder)), device="cpu", **options)


def change_config(folder: Path, **fields: Any) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **fields}))


def change_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors = {name: tensor.clone() for name, tensor in tensors.items()}
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
