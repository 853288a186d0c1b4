"""How much memory a model needs, and how much there is: asked before anything is loaded."""

from collections.abc import Iterable
from pathlib import Path

from core.models.header import ITEM_BYTES, TensorInfo
from core.spec.errors import Error

DTYPES = {"float32": 4, "bfloat16": 2, "float16": 2}  # bytes of one element
STORED = {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}
ROOM = 1.1  # the weights and a tenth for what a forward pass and the library itself take
CGROUP = Path("/sys/fs/cgroup")


class TooLargeError(Error):
    """A model does not fit into what is free now."""


def working_dtype(asked: str, device: str, stored: str) -> str:
    """The type weights are loaded as: what was asked for, else float32 on a CPU, else as stored.

    `stored` is in the words of safetensors ("BF16").
    """
    if asked and asked not in DTYPES:
        raise Error(f"no dtype {asked[:40]!r}; there are {', '.join(DTYPES)}")
    return asked or ("float32" if device == "cpu" else STORED.get(stored, "float32"))


def needed(tensors: Iterable[TensorInfo], dtype: str) -> int:
    """Bytes to load these tensors as `dtype`: a tenth more, and room for the largest one."""
    sizes = [
        tensor.size * (DTYPES[dtype] if "F" in tensor.dtype else ITEM_BYTES[tensor.dtype])
        for tensor in tensors
    ]
    return int(sum(sizes) * ROOM) + max(sizes, default=0)


def available(device: str) -> int:
    """Bytes that are free on a device ("cpu", "cuda:0"), container limits included."""
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.mem_get_info(torch.device(device))[0])
    import psutil

    return min([int(psutil.virtual_memory().available), *_container_room()])


def _container_room(root: Path = CGROUP, own: Path = Path("/proc/self/cgroup")) -> list[int]:
    """Bytes left below each memory limit this process lives under, outer containers included."""
    try:
        lines = [line.split(":", 2) for line in own.read_text().splitlines()]
    except OSError:
        return []
    rooms = []
    for _, controllers, path in lines:
        if controllers == "":  # version 2: one tree for everything
            rooms += _limits(root, path, ("memory.max", "memory.current", "inactive_file"))
        elif "memory" in controllers.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            rooms += _limits(root / "memory", path, names)
    return rooms


def _limits(top: Path, path: str, names: tuple[str, str, str]) -> list[int]:
    """Room below the limits of a group and of those around it; groups without one say nothing."""
    limit_name, used_name, cache_name = names
    rooms = []
    group = top / path.lstrip("/")
    for place in [group, *group.parents]:
        if not place.is_relative_to(top):
            break
        try:
            limit = int((place / limit_name).read_text())  # the word "max": no limit
            used = int((place / used_name).read_text())
            stat = dict(line.split() for line in (place / "memory.stat").read_text().splitlines())
        except (OSError, ValueError):
            continue
        # Cached file pages count as used but are given back when they are needed.
        rooms.append(max(0, limit - used + int(stat.get(cache_name, 0))))
    return rooms


def words(n_bytes: int) -> str:
    """Bytes as a person reads them: "13.1 MB", "15.2 GB"."""
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.1f} MB"


def refuse_if_too_large(name: str, need: int, device: str, free: int | None = None) -> None:
    """Raise `TooLargeError` with both numbers when `need` bytes do not fit into what is free."""
    room = available(device) if free is None else free
    if need > room:
        raise TooLargeError(
            f"{name} needs {words(need)} of memory, {words(room)} are free on "
            f"{device}; choose a smaller model, a smaller dtype or another device"
        )
