"""The one door for model weights: safetensors files and nothing else.

Nothing is loaded that did not pass `inspect`. Pickle files are never opened, not even to look
at their first byte: they are known by their names.
"""

import hashlib
import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.models import header
from core.models.header import TensorInfo, shown
from core.spec.errors import Error

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
MAX_JSON = 100_000_000  # bytes of any JSON file of a model folder; tokenizers reach 35 MB
MAX_FILES = 10_000
# Formats that are pickles, or that other libraries write and this one does not read.
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".npy", ".npz")
OTHERS = (".h5", ".msgpack", ".gguf", ".ggml", ".onnx", ".tflite", ".nemo", ".pb")
# A folder needs one of the first to have a tokenizer; the others may stand beside it.
TOKENIZERS = (
    "tokenizer.json",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
    "vocab.json",
    "vocab.txt",
)
BESIDE = ("merges.txt", "chat_template.jinja")
CONFIGS = (
    "config.json",
    "tokenizer_config.json",
    "generation_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)
READ = {*TOKENIZERS, *BESIDE, *CONFIGS, INDEX}


@dataclass(frozen=True, slots=True)
class WeightFiles:
    """The weights of one folder, as their checked headers describe them."""

    folder: Path
    files: tuple[Path, ...]
    tensors: dict[str, TensorInfo]
    shards: dict[str, str]  # tensor -> name of its file

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.tensors)

    @property
    def parameters(self) -> int:
        """Number of elements of all tensors in the files."""
        return sum(tensor.size for tensor in self.tensors.values())

    @property
    def bytes(self) -> int:
        """Bytes of all tensors in the files."""
        return sum(tensor.bytes for tensor in self.tensors.values())


def inspect(folder: Path) -> WeightFiles:
    """Check the weight files of a folder. Raises `Error` naming file, tensor and fault."""
    contained(folder)
    paths, index = _weight_paths(folder)
    tensors: dict[str, TensorInfo] = {}
    shards: dict[str, str] = {}
    for path in paths:
        for name, tensor in header.read(path).items():
            if name in tensors:
                raise Error(f"tensor {shown(name)} stands in {shards[name]} and in {path.name}")
            tensors[name], shards[name] = tensor, path.name
    for name, file in index.items():
        if shards.get(name) != file:
            raise Error(f"{INDEX} places tensor {shown(name)} in {file}, which does not hold it")
    return WeightFiles(folder, tuple(paths), tensors, shards)


def _weight_paths(folder: Path) -> tuple[list[Path], dict[str, str]]:
    """The files that hold the weights, and tensor -> file name as the index has it."""
    if os.path.lexists(folder / SINGLE):
        return [folder / SINGLE], {}
    if os.path.lexists(folder / INDEX):
        index = _index(folder)
        return [folder / name for name in sorted(set(index.values()))], index
    raise Error(_nothing_to_load(folder))


def _index(folder: Path) -> dict[str, str]:
    """Tensor -> file of a sharded model; every file is a plain name in this very folder."""
    plain = read_json(folder / INDEX)
    places = plain.get("weight_map")
    if not isinstance(places, dict) or not places:
        raise Error(f"{INDEX}: expected weight_map, a table from tensors to files")
    for name in {str(name): None for name in places.values()}:
        plain_name = name.isprintable() and not set(name) & set("/\\:")
        if not plain_name or not name or name.startswith(".") or len(name) > 200:
            raise Error(
                f"{INDEX} names the file {shown(name)}, which is not in this folder; "
                "weights are only read from the model's own folder"
            )
        if not name.endswith(".safetensors"):
            raise Error(
                f"{INDEX} names {shown(name)}; only .safetensors files are opened, "
                "because pickles can run code"
            )
        if not (folder / name).is_file():
            raise Error(f"{name} is missing: {INDEX} needs it, so download the model again")
    return {str(tensor): str(name) for tensor, name in places.items()}


def _nothing_to_load(folder: Path) -> str:
    names = sorted(entry.name for entry in os.scandir(folder))
    pickles = [name for name in names if name.endswith(PICKLES)]
    others = [name for name in names if name.endswith(OTHERS)]
    loose = [name for name in names if name.endswith(".safetensors")]
    if loose:
        return (
            f"found {shown(loose[0])}, but neither {SINGLE} nor {INDEX}; "
            "rename it or save the model again with save_pretrained"
        )
    if pickles:
        return (
            f"found {shown(pickles[0])} and no safetensors file; pickles can run code and are "
            "never opened. Convert the model with safetensors (save_pretrained writes it)"
        )
    if others:
        return f"found {shown(others[0])}; only safetensors files are read, so convert the model"
    return f"found no weights: expected {SINGLE} or {INDEX} in the folder"


def contained(folder: Path) -> None:
    """Refuse a folder with links that lead out of it.

    In a hub cache the files of a snapshot are links into `blobs` of the same model.
    """
    root = folder.resolve()
    homes = [root]
    if root.parent.name == "snapshots":
        homes.append(root.parent.parent / "blobs")
    entries = list(root.iterdir())
    if len(entries) > MAX_FILES:
        raise Error(f"the folder holds more than {MAX_FILES} files; this is no model folder")
    for path in entries:
        if path.is_symlink() and not any(_real(path).is_relative_to(home) for home in homes):
            raise Error(
                f"{shown(path.name)} is a link that leaves the model's folder; "
                "put the file itself there"
            )


def _real(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # a link to itself
        return Path(os.sep)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file of bounded size. Raises `Error` on anything else."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise Error(f"{path.name} is not a plain file, so it is not opened")
        if status.st_size > MAX_JSON:
            raise Error(f"{path.name} has {status.st_size} bytes, more than {MAX_JSON}")
        plain = json.loads(path.read_bytes().decode())
    except OSError as fault:
        raise Error(f"{path.name} cannot be read: {fault.strerror or fault}") from None
    except Error:
        raise
    except (ValueError, RecursionError):
        raise Error(f"{path.name} is not JSON; the file is damaged") from None
    if not isinstance(plain, dict):
        raise Error(f"{path.name} should hold a JSON object, not a {type(plain).__name__}")
    return plain


_digests: dict[tuple[str, int, int], str] = {}


def _read_files(folder: Path) -> list[Path]:
    """What a loader reads of a folder, so what decides the answers of a model."""
    return sorted(
        path
        for path in folder.iterdir()
        if (path.suffix == ".safetensors" or path.name in READ) and path.is_file()
    )


def stamp(folder: Path) -> str:
    """Names, sizes and times of all files a loader reads: cheap, and new when one changes."""
    parts = []
    for path in _read_files(folder):
        status = path.stat()
        parts.append(f"{path.name}:{status.st_size}:{status.st_mtime_ns}")
    return "|".join(parts)


def fingerprint(folder: Path) -> str:
    """SHA-256 over weights, configuration and tokenizer; a file is read once while unchanged."""
    whole = hashlib.sha256()
    for path in _read_files(folder):
        whole.update(f"{path.name}\n{digest(path)}\n".encode())
    return whole.hexdigest()


def digest(path: Path) -> str:
    """SHA-256 of a file, which is read once while its size and time stay."""
    status = path.stat()
    key = (str(path.resolve()), status.st_size, status.st_mtime_ns)
    if key not in _digests:
        with open(path, "rb") as file:
            _digests[key] = hashlib.file_digest(file, "sha256").hexdigest()
    return _digests[key]
